package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestGoClient: the Go client that is made of /openapi.json reads providers.
func TestGoClient(t *testing.T) {
	t.Parallel()
	m := clientNode(t)
	dir := filepath.Join(t.TempDir(), "client")
	if err := os.CopyFS(dir, os.DirFS("testdata/clients/go")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "api"), 0o700); err != nil {
		t.Fatal(err)
	}
	commandIn(t, dir, "go", "mod", "download")
	m.saveDescription(dir)
	run(t, dir, "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "api", "-o", "api/api.go", "openapi.json")
	checkProviders(t, run(t, dir, "go", "run", ".", "http://"+m.http))
}

// TestTypeScriptClient: the types that are made of /openapi.json hold, and the client that
// has them reads providers.
func TestTypeScriptClient(t *testing.T) {
	t.Parallel()
	m := clientNode(t)
	dir := nodeModules(t)
	m.saveDescription(dir)
	run(t, dir, "npx", "--no-install", "openapi-typescript", "openapi.json", "-o", "api.d.mts")
	run(t, dir, "npx", "--no-install", "tsc", "-p", ".")
	checkProviders(t, run(t, dir, "node", "out/client.mjs", "http://"+m.http))
}

// TestDescriptionLint: the recommended rules of redocly find nothing.
func TestDescriptionLint(t *testing.T) {
	t.Parallel()
	m := clientNode(t)
	dir := nodeModules(t)
	m.saveDescription(dir)
	var found struct {
		Totals   struct{ Errors, Warnings int }
		Problems []struct{ RuleID, Message string }
	}
	text := run(t, dir, "npx", "--no-install", "redocly", "lint", "openapi.json", "--extends", "recommended", "--format", "json")
	if err := json.Unmarshal([]byte(text), &found); err != nil || len(found.Problems) > 0 || found.Totals.Errors+found.Totals.Warnings > 0 {
		t.Errorf("%+v %v: %s", found, err, text)
	}
}

// clientNode is one whose answer the clients print.
func clientNode(t *testing.T) *member {
	t.Helper()
	m := startCluster(t, "iad").members[0]
	answer, err := m.c.client.Post("http://"+m.http+"/api/v1/events", "application/x-ndjson", strings.NewReader(`
{"chain":"c","provider_id":"p","method":"eth_call","duration_ms":5,"result":"success"}
{"chain":"c","provider_id":"q","method":"eth_call","duration_ms":5,"result":"success"}
{"chain":"d","provider_id":"p","method":"eth_call","duration_ms":5,"result":"success"}
{"type":"block","chain":"c","provider_id":"q","height":7}`))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatal(answer.Status)
	}
	return m
}

func checkProviders(t *testing.T, got string) {
	t.Helper()
	if want := "c/p 1 5 null\nc/q 1 5 "; !strings.HasPrefix(got, want) {
		t.Errorf("the client read %q, want %q", got, want)
	}
}

// saveDescription writes what the member says of its API into a directory.
func (m *member) saveDescription(dir string) {
	t := m.c.t
	t.Helper()
	answer, err := m.c.client.Get("http://" + m.http + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// fetching is held while the tools are.
var fetching sync.Mutex

// nodeModules is a directory with the client of TypeScript and the tools that it needs,
// which are fetched once.
func nodeModules(t *testing.T) string {
	t.Helper()
	source, err := filepath.Abs("testdata/clients/ts")
	if err != nil {
		t.Fatal(err)
	}
	fetching.Lock()
	defer fetching.Unlock()
	modules := filepath.Join(source, "node_modules")
	if _, err := os.Stat(filepath.Join(modules, ".package-lock.json")); err != nil {
		commandIn(t, source, "npm", "ci", "--silent", "--no-audit", "--no-fund")
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "client.mts", "tsconfig.json"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a command and returns what it prints.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var faults strings.Builder
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, faults.String())
	}
	return string(out)
}
