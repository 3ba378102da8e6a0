package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestControlGroup: a node keeps to the memory that its control group allows: it takes
// as many events with identities as come, and lives.
func TestControlGroup(t *testing.T) {
	t.Parallel()
	privileged(t)
	const allowed = 100 << 20
	group := filepath.Join("/sys/fs/cgroup/memory", fmt.Sprintf("remuda-test-%d", os.Getpid()))
	file := "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil { // version 2
		group, file = filepath.Join("/sys/fs/cgroup", filepath.Base(group)), "memory.max"
	}
	command(t, "mkdir", group)
	t.Cleanup(func() { _ = os.Remove(group) }) // the member has ended by then
	command(t, "sh", "-c", fmt.Sprintf("echo %d >%s", allowed, filepath.Join(group, file)))

	// The race detector would take many times the memory.
	program := filepath.Join(t.TempDir(), "remuda")
	command(t, "go", "build", "-o", program, ".")

	c := newProcessCluster(t)
	m := c.add("limited")
	m.prefix = []string{"sh", "-c", `echo $$ >"$0" && shift && GOMEMLIMIT= exec ` + program + ` "$@"`, filepath.Join(group, "cgroup.procs")}
	m.start()
	m.await()
	if log := m.logged(); !strings.Contains(log, `msg="memory limit" limit="80 MiB" from="control group" of="100 MiB"`) {
		t.Errorf("the log does not say it: %s", log)
	}
	for range 120 {
		var body bytes.Buffer
		for range 5000 {
			fmt.Fprintf(&body, `{"chain":"base","provider_id":"p%d","method":"m%d","duration_ms":%d,"result":"success","request_id":"%x"}`+"\n",
				rand.IntN(60), rand.IntN(40), rand.IntN(2000), rand.Uint64())
		}
		answer, err := c.client.Post("http://"+m.http+"/api/v1/events", "application/x-ndjson", &body)
		if err != nil {
			t.Fatalf("it is gone: %v\n%s", err, m.logged())
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusAccepted {
			t.Fatal(answer.Status)
		}
	}
	var limits struct {
		Rows []struct {
			Key            string
			Limit, Current *int64
		}
	}
	if err := m.read("/api/v1/limits", &limits); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int64)
	for _, row := range limits.Rows {
		if row.Limit != nil {
			found[row.Key] = *row.Limit
		}
		if row.Key == "memory" && (row.Current == nil || *row.Current < 1<<20 || *row.Current > allowed) {
			t.Errorf("it uses %v", row.Current)
		}
	}
	if found["memory"] != allowed*8/10 || found["dedup_memory"] != allowed*8/10/6 || found["series"] != allowed*8/10/(16<<10) {
		text, _ := json.Marshal(found)
		t.Errorf("%s", text)
	}
	m.drains()
}
