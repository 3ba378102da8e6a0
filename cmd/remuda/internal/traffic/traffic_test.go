package traffic

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"remuda/ingest"
	"remuda/store"
)

var update = flag.Bool("update", false, "write docs/sample.ndjson anew")

const sampleFile = "../../../../docs/sample.ndjson"

// TestSample: the sample of the documentation is what the generator makes.
func TestSample(t *testing.T) {
	want := Sample(200)
	if *update {
		if err := os.WriteFile(sampleFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(sampleFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/sample.ndjson is not what the generator makes (%v); go test ./cmd/remuda/internal/traffic -update writes it", err)
	}
}

// TestAllAccepted: a node takes every event of some minutes of traffic, the
// outage included, and sees the circuit open and close.
func TestAllAccepted(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, err := store.New(store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(ingest.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	g := New(1, DefaultOutage)
	states := make(map[string]bool)
	for second := range 130 {
		since := time.Duration(second) * time.Second
		lines := g.Reports(nil, since, now.UnixMilli())
		for range 50 {
			lines = g.Decision(lines, since, now.UnixMilli())
		}
		receipt, err := in.Ingest(t.Context(), ingest.Body{Reader: bytes.NewReader(lines), Type: "application/x-ndjson"})
		if err != nil || receipt.Rejected != 0 || receipt.Accepted != strings.Count(string(lines), "\n") {
			t.Fatalf("second %d: %+v, %v", second, receipt, err)
		}
		for _, c := range s.Circuits(store.Filter{store.ProviderDim: {DefaultOutage.Provider}}) {
			states[c.State.String()] = true
		}
		now = now.Add(time.Second)
	}
	if !states["open"] || !states["half_open"] || !states["closed"] {
		t.Errorf("the circuit was %v", states)
	}
}
