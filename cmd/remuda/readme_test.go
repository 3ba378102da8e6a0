package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestReadme runs the curl lines of the README as they are printed, but for the
// address, and what they are piped into must find what the README promises.
func TestReadme(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no curl, and in CI there must be")
		}
		t.Skip("README NOT TESTED: there is no curl")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	node := exec.Command("remuda", "serve", "--http", "127.0.0.1:0")
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = node.Process.Kill() // it has done its work
		_ = node.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ := strings.Cut(strings.TrimSpace(line), " on ")

	want := []string{`"accepted":308,`, `"key":"base/base_official"`, "alchemy_primary", `"score":`, "event: snapshot"}
	n := 0
	for line := range strings.Lines(string(readme)) {
		command := strings.TrimSpace(line)
		if !strings.HasPrefix(command, "curl ") {
			continue
		}
		if n == len(want) {
			t.Fatalf("the README has a command more: %s", command)
		}
		shell := exec.Command("sh", "-c", strings.ReplaceAll(strings.Replace(command, "curl ", "curl -s --max-time 2 ", 1), "http://127.0.0.1:7400", url))
		shell.Dir = "../.."
		got, _ := shell.Output() // a stream ends by its time, which curl calls an error
		if !strings.Contains(string(got), want[n]) {
			t.Errorf("%s\nhas no %s in\n%.500s", command, want[n], got)
		}
		n++
	}
	if n != len(want) {
		t.Errorf("the README has %d commands, want %d", n, len(want))
	}
}
