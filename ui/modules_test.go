package ui

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestModules runs the tests of those modules that need no browser, which are in
// node's own runner.
func TestModules(t *testing.T) {
	const reason = "NO TESTS OF THE DASHBOARD'S MODULES: there is no node of version 20 or later"
	version, err := exec.Command("node", "--eval", "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)").CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("%s: %v %s", reason, err, version)
	default:
		t.Skip(reason)
	}
	files, err := filepath.Glob("tests/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatal("there are none", err)
	}
	source(t) // what is tested, so that no older result is taken for that of this
	if out, err := exec.Command("node", append([]string{"--test", "--test-reporter=spec"}, files...)...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
