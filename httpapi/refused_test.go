package httpapi_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"remuda/httpapi"
)

// TestRefusedLeaveATrace: refused events are told by sender, as far as it could be
// read of them; attention says whose and why for as long as it lasts, and the log once
// a minute.
func TestRefusedLeaveATrace(t *testing.T) {
	var log lockedBuffer
	n := newTestNode(t, func(o *httpapi.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	gw := `,"source_node":"gw-1","source_region":"eu-west-1"`
	n.post(http.StatusAccepted, decision("base", "p", gw),
		decision("base", "p", gw+`,"weight":0`),              // good but for one field
		`{"source_node":"gw-1","chain":"base"}`,              // something missing
		decision("base", "p", gw+`,"weight":1} garbage`),     // good, and garbage behind it: nobody's
		`{"source_node":"gw-1","chain":"ba`,                  // cut off behind its name
		`{"chain":"base","source_node":"gw 1"}`,              // a name that is none
		`not even an object`,                                 // of nobody
		decision("base", "p", gw+`,"profile":"a","ts":1700`), // of another profile
		`{"source_node":"gw-2","source_region":"us-west-2"}`, // all it ever sent
	)
	n.post(http.StatusUnprocessableEntity, `{"source_node_id":"Sjc-080713ea67e778"}`)
	if resp, err := n.server.Client().Post(n.server.URL+"/api/v1/events", "application/json", strings.NewReader(`[`+decision("b", "p", "")+`,`)); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Fatal(resp, err)
	} else {
		resp.Body.Close()
	}
	senders := func(profile string) string {
		var got []string
		for _, r := range n.rows("/api/v1/senders?profile=" + profile) {
			got = append(got, fmt.Sprint(r["source_node"], " ", r["region"], " ", r["rejected"], " ", r["rejected_code"], " ", r["rejected_field"], " ", r["reporting"], " ", r["last_seen_at"] != nil, " ", r["rejected_at"] != nil))
		}
		return strings.Join(got, "\n")
	}
	want := strings.Join([]string{
		"Sjc-080713ea67e778 sjc 1 missing chain false false true",
		"gw-1 eu-west-1 3 malformed <nil> true true true",
		"gw-2 us-west-2 1 missing chain false false true",
		"n1 us-east-1 4 malformed_body <nil> false false true",
	}, "\n")
	if got := senders("default"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := senders("a"); got != "gw-1 eu-west-1 1 too_old ts false false true" {
		t.Error("the other profile:", got)
	}
	if _, _, text := n.get("/api/v1/senders"); !strings.Contains(string(text), `"senders":{"reporting":1,"known":1}`) {
		t.Errorf("senders that only sent what was refused are covered: %s", text)
	}
	alarms := func() string {
		var got []string
		for _, r := range n.rows("/api/v1/attention") {
			got = append(got, fmt.Sprint(r["rule"], " ", r["severity"], " ", r["sender"], ": ", r["detail"]))
		}
		return strings.Join(got, "\n")
	}
	want = strings.Join([]string{
		"events_refused warning Sjc-080713ea67e778: an event of its was refused, the last one for missing of chain",
		"events_refused warning gw-1: 3 of its events were refused, the last one for malformed",
		"events_refused warning gw-2: an event of its was refused, the last one for missing of chain",
		"events_refused warning n1: 4 of its events were refused, the last one for malformed_body",
	}, "\n")
	if got := alarms(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if rows := n.rows("/api/v1/attention?profile=b"); len(rows) != 0 {
		t.Error("a third profile:", rows)
	}

	// One line a minute, which counts those since the one before.
	n.pass(61 * time.Second)
	n.post(http.StatusUnprocessableEntity, `{"source_node":"gw-2"}`)
	n.post(http.StatusUnprocessableEntity, `{"source_node":"gw-2"}`)
	var lines []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "refused") {
			_, line, _ = strings.Cut(line, " events=")
			lines = append(lines, line)
		}
	}
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "8 sender=gw-1 code=out_of_range field=weight ") || !strings.HasPrefix(lines[1], "3 sender=gw-2 code=missing field=chain ") {
		t.Errorf("logged:\n%s", strings.Join(lines, ""))
	}

	// It stands for five minutes; a sender that never was one is not missed.
	if got := alarms(); strings.Contains(got, "sender_silent warning gw-2") || !strings.Contains(got, "sender_silent warning gw-1") || !strings.Contains(got, "events_refused warning gw-2: 3 ") {
		t.Error("a minute later:", got)
	}
	n.pass(5*time.Minute + time.Second)
	if got := alarms(); strings.Contains(got, "events_refused") {
		t.Error("five minutes later:", got)
	}
	if got := senders("default"); !strings.Contains(got, "gw-2 us-west-2 3 missing chain") {
		t.Error("five minutes later:", got)
	}
	n.pass(time.Hour)
	if got := senders("default"); got != "" {
		t.Error("an hour later:", got)
	}
}

// lockedBuffer is a buffer that a logger and a test may use at once.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}
