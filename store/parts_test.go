package store

import (
	"fmt"
	"math"
	"testing"
	"time"

	"remuda/store/cell"
	"remuda/store/ids"
)

// TestNamesAndIdentities: whatever names an event has, another is another.
func TestNamesAndIdentities(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var events []Event
	names := []string{"a", "b", "c", "ab", "x", "0"}
	for _, request := range names {
		for _, name := range names {
			for duration := range uint64(3) {
				e := Event{
					TS: s.Now(), Profile: "p", Chain: "c", ProviderID: name, Method: "m", Strategy: "s", SourceNode: request, SourceRegion: "r",
					RequestID: "r", DurationMicros: duration, UpstreamMicros: duration, Weight: 1,
				}
				events = append(events, e)
				e.SourceNode, e.RequestID = "n", request
				events = append(events, e)
			}
			events = append(events, Event{
				TS: s.Now(), Profile: name, Chain: "c", ProviderID: "x", Method: "m", Strategy: "s", SourceNode: "n", SourceRegion: "r",
				EventID: request, Weight: 1,
			})
		}
	}
	if r := s.Apply(events); r.Accepted != len(events) {
		t.Errorf("%+v of %d", r, len(events))
	}
	if r := s.Apply(events); r.Duplicates != len(events) {
		t.Errorf("again: %+v of %d", r, len(events))
	}
}

// TestCaps: beyond the cap totals stay right, with less and less detail.
func TestCaps(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, err := New(Options{MaxSeries: 16, MaxLatestValues: 2, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	event := func(provider, method string) Event {
		return Event{
			TS: now.UnixMilli(), Profile: "p", Chain: "c", ProviderID: provider, Method: method, Strategy: "s", SourceNode: "n", SourceRegion: "r",
			Weight: 1, DurationMicros: 1, UpstreamMicros: 1,
		}
	}
	for i := range 100 {
		if r := s.Apply([]Event{event(fmt.Sprint("provider", i%10), fmt.Sprint("method", i))}); r.Accepted != 1 {
			t.Fatalf("%+v", r)
		}
	}
	total := uint64(0)
	methods := make(map[string]uint64)
	table := s.NewTable(Query{By: []Dim{MethodDim}, Window: cell.Window1m})
	table.Refresh()
	for _, r := range table.Rows() {
		total += r.Calls
		methods[r.Key] = r.Calls
	}
	if total != 100 || methods[ids.Other] != 84 || table.Meta().OverflowCalls != 84 || s.Usage().Series > 19 {
		t.Errorf("%d calls, %v, overflow %d, %d series", total, methods, table.Meta().OverflowCalls, s.Usage().Series)
	}
	for i, want := range []int{1, 1, 0, 1} {
		e := event(fmt.Sprint("provider", i%3), "")
		e.Kind, e.Height = Block, 7
		if r := s.Apply([]Event{e}); r.Accepted != want || want == 0 && r.Refusals[0].Code != "too_many_series" {
			t.Errorf("height %d: %+v", i, r)
		}
	}
}

// TestLargestCell: what senders make as large as they can is kept and can be read.
func TestLargestCell(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, err := New(Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	e := Event{
		TS: now.UnixMilli(), Profile: "p", Chain: "c", ProviderID: "x", Method: "m", Strategy: "s", SourceNode: "n", SourceRegion: "r", Weight: 1_000_000,
	}
	calls := uint64(0)
	apply := func(e Event) {
		s.Apply([]Event{e})
		calls += uint64(e.Weight)
	}
	for b := range cell.BucketOf(cell.MaxMicros) + 1 {
		upper := math.Exp2(float64(b) / 32) // of a bucket
		e.UpstreamMicros, e.Failed, e.ErrorCategory = min(uint64(upper), cell.MaxMicros), true, fmt.Sprintf("%0128d", b)
		apply(e)
		e.Failed, e.ErrorCategory = false, ""
		apply(e)
	}
	for range 120 {
		now = now.Add(time.Second)
		s.Tick()
	}
	table := s.NewTable(Query{By: []Dim{ChainDim}, Window: cell.Window5m})
	table.Refresh()
	if rows := table.Rows(); len(rows) != 1 || rows[0].Calls != calls {
		t.Errorf("%d rows: %+v", len(rows), rows)
	}
}

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
