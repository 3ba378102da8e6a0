package store

import (
	"fmt"
	"testing"
	"time"

	"remuda/store/cell"
	"remuda/store/internal/leaf"
)

// distinct are events of one provider that make every figure another.
func distinct(at int64) []Event {
	event := func(n int, weight, failovers uint32, category string) Event {
		e := Event{
			Sent: FieldTS | FieldRequestID, TS: at, SentTS: at, Profile: "default", Chain: "c", ProviderID: "p", Transport: WS, Method: "m", Strategy: "s",
			SourceNode: "gw", SourceRegion: "r", RequestID: fmt.Sprint(n), Weight: weight, DurationMicros: 1000, UpstreamMicros: 1000,
			FailoverCount: failovers, ErrorCategory: category,
		}
		if category != "" {
			e.Result = cell.Failure
		}
		return e
	}
	beside := func(n int, weight uint32, a Attempt) Event {
		e := event(n, weight, 0, "")
		a.ProviderID, a.Transport, a.DurationMicros = "p", WS, 700
		e.ProviderID, e.Attempts = "other", []Attempt{a}
		return e
	}
	won, cancelled := event(6, 50, 0, ""), event(7, 5, 0, "")
	won.CallReason, cancelled.Result = ReasonHedge, cell.Cancelled
	tried := event(5, 100, 1, "")
	tried.ProviderID = "other"
	tried.Attempts = []Attempt{{ProviderID: "p", Transport: WS, ErrorCategory: "timeout", DurationMicros: 500, Result: cell.Failure}}
	return []Event{
		event(1, 1000, 3, ""), event(2, 20, 0, "timeout"), event(3, 7, 0, "invalid_params"), tried,
		won, cancelled, beside(8, 300, Attempt{Result: cell.Cancelled, Reason: ReasonHedge}),
		beside(9, 2000, Attempt{Result: cell.NotSent, Reason: ReasonHedge}), beside(10, 100, Attempt{Result: cell.Success, Reason: ReasonConsensus}),
	}
}

// TestEveryFigureIsCounted: what calls add to each figure, in rows, in lifetimes before
// and after they age out, and at another node.
func TestEveryFigureIsCounted(t *testing.T) {
	want := cell.Counts{
		Calls: 1582, Errors: 127, ProviderErrors: 120, Requests: 1082, RequestErrors: 27, Failovers: 3000, Samples: 8,
		CutOff: 305, NotSent: 2000, Hedges: 350, HedgeWins: 50,
	}
	for _, l := range leaf.All(&want) {
		if l.IsZero() {
			t.Errorf("%s is not counted", l.Path)
		}
	}
	now := time.UnixMilli(1_700_000_000_000)
	open := func(node string) *Store {
		s, err := New(Options{Node: node, Incarnation: 1, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open("a")
	counter := func(when string, living bool) {
		t.Helper()
		for _, r := range s.Counters() {
			if r.Profile != "default" || r.Chain != "c" || r.Transport != WS {
				t.Errorf("%s, the labels are %+v", when, r)
			}
			if r.ProviderID == "p" && (r.Counts != want || r.LatencySumMicros != 1_120_000 || r.Living != living) {
				t.Errorf("%s, the counters are %+v, want %+v", when, r, want)
			}
		}
		if n := len(s.Counters()); n != 2 {
			t.Errorf("%s, there are %d counters", when, n)
		}
	}
	row := func(s *Store) Row {
		t.Helper()
		table := s.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window1m})
		table.Refresh()
		for _, r := range table.Rows() {
			if r.Dims[ProviderDim] == "p" {
				return *r
			}
		}
		t.Fatal("no row")
		return Row{}
	}
	s.Apply(distinct(s.Now()))
	counter("at once", true)
	if got := row(s); got.Counts != want || got.Avg != 974 {
		t.Errorf("the row is %+v, want %+v", got.Figures, want)
	}
	now = now.Add(2 * time.Second)
	s.Tick()
	counter("after a tick", true)

	id := OriginID{Node: "a", Incarnation: 1}
	other := open("b")
	s.Changed(id, 0, AllTiers, func(state *RowState) bool {
		if err := other.Merge(id, state); err != nil {
			t.Error(err)
		}
		return true
	})
	if got := row(other); got.Counts != want || got.Avg != 974 {
		t.Errorf("merged, the row is %+v, want %+v", got.Figures, want)
	}
	if s.Digest(id) != other.Digest(id) {
		t.Error("merged, the digests differ")
	}
	const digest = 0xbec601c9a5be5e1e // the same in every process and version
	if got := s.Digest(id); got != digest {
		t.Errorf("the digest is %#x, want %#x", got, uint64(digest))
	}

	now = now.Add(2 * time.Hour)
	s.Tick()
	s.Tick()
	counter("aged out", false)
}
