package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// clockVariable is by how much the clock of a process under test is ahead.
const clockVariable = "REMUDA_TEST_CLOCK_AHEAD"

// TestMain lets the test binary be the program: scripts run it as remuda.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"remuda": func() {
		ahead, err := time.ParseDuration(os.Getenv(clockVariable))
		_ = os.Unsetenv(clockVariable) // the program knows nothing of it
		if err == nil {
			wallClock = func() time.Time { return time.Now().Add(ahead) }
		}
		main()
	}})
}

// TestScripts runs the program as its users do. The command `node` starts a real
// node on a free port and sets REMUDA_URL; `term` ends it by SIGTERM and checks
// how it ends.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"node":  startNode,
			"term":  endNode,
			"until": until,
		},
	})
}

type runningNode struct {
	cmd  *exec.Cmd
	done chan error
}

func startNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("node cannot be negated")
	}
	cmd := exec.Command("remuda", append([]string{"serve", "--http", "127.0.0.1:0", "--node", "n1"}, args...)...)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	log, err := os.Create(ts.MkAbs("node.log"))
	ts.Check(err)
	cmd.Stderr = log
	ts.Check(cmd.Start())
	n := &runningNode{cmd: cmd, done: make(chan error, 1)}
	line, err := bufio.NewReader(out).ReadString('\n')
	ts.Check(err)
	go func() { n.done <- cmd.Wait() }()
	_, url, found := strings.Cut(strings.TrimSpace(line), " on ")
	if !found {
		ts.Fatalf("the node says %q", line)
	}
	ts.Setenv("REMUDA_URL", url)
	current.Store(ts, n)
	ts.Defer(func() {
		_ = cmd.Process.Kill() // it may have ended
		current.Delete(ts)
		_ = log.Close()
	})
}

// current is the node of each running script.
var current sync.Map

func endNode(ts *testscript.TestScript, neg bool, _ []string) {
	found, ok := current.Load(ts)
	if !ok || neg {
		ts.Fatalf("there is no node")
	}
	n := found.(*runningNode)
	ts.Check(n.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-n.done:
		ts.Check(err)
	case <-time.After(10 * time.Second):
		ts.Fatalf("the node did not end within 10 s")
	}
	log := ts.ReadFile("node.log")
	if strings.Contains(log, "panic") || !strings.Contains(log, "drained") {
		ts.Fatalf("the log says %s", log)
	}
}

// until waits until a file has a text.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: until FILE TEXT")
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-ticker.C {
		content, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(content), args[1]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not have %q: %s", args[0], args[1], content)
		}
	}
}
