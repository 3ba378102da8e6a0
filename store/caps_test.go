package store

import (
	"fmt"
	"math"
	"testing"
	"time"

	"remuda/store/cell"
	"remuda/store/ids"
)

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
		upper := math.Exp2(float64(b-cell.BucketOf(1_000_000))/32) * 1_000_000 // of a bucket
		e.UpstreamMicros, e.Result, e.ErrorCategory = min(uint64(upper), cell.MaxMicros), cell.Failure, fmt.Sprintf("%0128d", b)
		apply(e)
		e.Result, e.ErrorCategory = cell.Success, ""
		apply(e)
		e.Result = cell.Cancelled
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
