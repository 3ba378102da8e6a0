package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// TestStatuses: what is wrong with the command line ends the program with status 2,
// what goes wrong afterwards with 1.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int{
		"": 2, "nonsense": 2, "version extra": 2, "serve --no-such-flag": 2, "serve --tick abc": 2, "serve --tick 1h": 2, "serve --max-body 8M8": 2,
		"serve --node __x": 2, "serve --region __x": 2, "serve --http nonsense": 2, "serve --http 0.0.0.0:0": 2, "serve --http 127.0.0.1:99999": 2, "serve --insecure --http nonsense": 2, "serve --http 127.0.0.1:0 --chain-alias 10=__x": 2,
		"serve --http 127.0.0.1:0 --allowed-hosts a:80": 2, "serve --http 127.0.0.1:0 --cluster c --gossip 0.0.0.0:0": 2, "serve --http 127.0.0.1:0 --cluster c --gossip-packet 1": 2,
		"top --once not://a.node": 2, "send --batch 0 -": 2, "load --rate 0": 2, "load --duration 1ms": 2, "load --rate 1 --nodes not://a.node": 2, "demo --rate 0": 2,
		"send no-such-file": 1, "members http://127.0.0.1:1": 1, "serve --http 127.0.0.1:0 --data-dir /dev/null/x": 1,
		"--help": 0, "version": 0,
		"REMUDA_TICK=abc serve": 2, "REMUDA_MAX_SERIES=many serve": 2, "REMUDA_MAX_BODY=8M8 serve": 2, "REMUDA_LOG_LEVEL=loud serve": 2, "REMUDA_INSECURE=perhaps serve": 2,
	} {
		words := strings.Fields(line)
		var environment []string
		for len(words) > 0 && strings.HasPrefix(words[0], "REMUDA_") {
			environment, words = append(environment, words[0]), words[1:]
		}
		cmd := exec.Command("remuda", words...)
		cmd.Env = append(os.Environ(), environment...)
		out, err := cmd.CombinedOutput()
		if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != want || want > 0 && !strings.Contains(string(out), "remuda: ") {
			t.Errorf("%q ends with %d, want %d: %s", line, got, want, out)
		}
	}
}

// TestStrayVariables: a variable that is no flag's is named at the start of a node.
func TestStrayVariables(t *testing.T) {
	t.Parallel()
	var program struct {
		Serve serveCommand `cmd:""`
		Top   topCommand   `cmd:""`
	}
	model := kong.Must(&program, kong.DefaultEnvars("REMUDA")).Model
	environment := []string{
		"REMUDA_NODE=a", "REMUDA_MAX_SERIES=1", "REMUDA_URL=x", "REMUDA_NODDE=a", "REMUDA_", "HOME=/", "remuda_node=a",
		"REMUDA_PORT=tcp://10.0.0.1:7400", "REMUDA_SERVICE_HOST=10.0.0.1", "REMUDA_SERVICE_PORT_HTTP=7400", "REMUDA_PORT_7400_TCP_ADDR=10.0.0.1",
	}
	want := strays{"REMUDA_", "REMUDA_NODDE", "REMUDA_PORT", "REMUDA_PORT_7400_TCP_ADDR", "REMUDA_SERVICE_HOST", "REMUDA_SERVICE_PORT_HTTP"}
	if d := cmp.Diff(want, strayVariables(model, environment)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want[:2], strayVariables(model, append(environment, "KUBERNETES_SERVICE_HOST=10.0.0.1"))); d != "" {
		t.Error("with a service of that name in Kubernetes:", d)
	}

	cmd := exec.Command("remuda", "serve", "--http", "127.0.0.1:0", "--data-dir", "/dev/null/x") // it ends by itself
	cmd.Env = append(os.Environ(), "REMUDA_NODDE=a")
	if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), "name=REMUDA_NODDE") {
		t.Errorf("%s", out)
	}
}
