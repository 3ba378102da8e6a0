package store

import (
	"fmt"
	"testing"
	"time"

	"remuda/store/cell"
)

// TestReports: worst circuit, consensus and lag, and the ages at which reports
// stop to count.
func TestReports(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, err := New(Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	report := func(kind Kind, provider, region, sender string, change func(*Event)) {
		e := Event{Kind: kind, TS: now.UnixMilli(), Profile: "p", Chain: "c", ProviderID: provider, SourceNode: sender, SourceRegion: region}
		change(&e)
		if r := s.Apply([]Event{e}); r.Accepted != 1 {
			t.Fatalf("%+v", r)
		}
	}
	table := s.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window1m, Providers: true})
	state := func(provider string) *ProviderState {
		table.Refresh()
		for _, r := range table.Rows() {
			if r.Dims[ProviderDim] == provider {
				return r.Provider
			}
		}
		return nil
	}
	for i, height := range []uint64{100, 101, 102, 103, 90} {
		report(Block, fmt.Sprint("p", i), "east", "gw1", func(e *Event) { e.Height = height })
	}
	report(Block, "p0", "west", "gw2", func(e *Event) { e.Height = 200 })
	report(Circuit, "p0", "east", "gw1", func(e *Event) { e.To = CircuitClosed })
	report(Circuit, "p0", "west", "gw2", func(e *Event) { e.From, e.To = CircuitClosed, CircuitOpen })
	report(Health, "p1", "east", "gw1", func(e *Event) { e.Status, e.ConsecutiveFailures = Degraded, 2 })

	// The 75th percentile of 90, 100, 101, 102, 103 is the fourth of them.
	if p := state("p4"); p.LagBlocks != -12 || p.Status != StatusLagging {
		t.Errorf("p4: %+v", p)
	}
	if p := state("p0"); p.LagBlocks != -2 || p.Height != 200 || p.Circuit[HTTP] != CircuitOpen || p.Circuit[WS] != CircuitUnknown ||
		p.CircuitsOpen != 1 || p.CircuitsKnown != 2 || p.Status != StatusCircuitOpen || p.RegionsReporting != 2 {
		t.Errorf("p0: %+v", p)
	}
	if p := state("p1"); p.Status != StatusDegraded || p.Failures != 2 {
		t.Errorf("p1: %+v", p)
	}

	now = now.Add(61 * time.Second) // heights are no longer fresh
	if p := state("p0"); p.HasHeight || p.Circuit[HTTP] != CircuitOpen {
		t.Errorf("after a minute: %+v", p)
	}
	if p := state("p4"); p.Status != StatusUnknown || p.SilentSince == 0 || p.HasLag {
		t.Errorf("p4 was lagging and went silent: %+v", p)
	}
	now = now.Add(200 * time.Second)
	report(Block, "p9", "east", "gw1", func(e *Event) { e.Height = 1 }) // gw1 is alive, gw2 is not
	now = now.Add(100 * time.Second)
	if p := state("p0"); p.Circuit[HTTP] != CircuitClosed || p.CircuitsKnown != 1 {
		t.Errorf("after gw2 fell silent: %+v", p)
	}
	if p := state("p1"); p.HasHealth || p.Status != StatusUnknown || p.SilentSince == 0 {
		t.Errorf("health of p1 is too old, and was bad: %+v", p)
	}
	if p := state("p2"); p != nil {
		t.Errorf("nothing is left of p2: %+v", p)
	}
	if list := s.Circuits(Filter{}); len(list) != 2 || list[0].Stale || !list[1].Stale {
		t.Errorf("listed: %+v", list)
	}
	// An older report does not replace a newer one.
	report(Circuit, "p0", "east", "gw1", func(e *Event) { e.TS, e.To = e.TS-500_000, CircuitOpen })
	if p := state("p0"); p.Circuit[HTTP] != CircuitClosed {
		t.Errorf("an old report won: %+v", p)
	}
	now = now.Add(2 * time.Hour)
	s.Revision()
	if u := s.Usage(); u.LatestValues != 0 || u.Senders != 0 || u.Profiles != 0 {
		t.Errorf("after two hours: %+v", u)
	}
}
