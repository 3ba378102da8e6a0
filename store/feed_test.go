package store

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"remuda/store/fair"

	"remuda/store/cell"
)

// decide reports a decision of a region.
func decide(s *Store, now time.Time, n int, region string, change func(*Event)) {
	for i := range n {
		e := Event{
			TS: now.UnixMilli(), Profile: "p", Chain: "c", ProviderID: "x", Method: "m", Strategy: "s", SourceNode: "gw",
			SourceRegion: region, Weight: 1, DurationMicros: uint64(i),
		}
		if change != nil {
			change(&e)
		}
		s.Apply([]Event{e})
	}
}

// TestFeedIsFair: a region that sends a hundred times as much as the others has no
// more of the feed than its share, and what enters is bounded.
func TestFeedIsFair(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, err := New(Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	decide(s, now, 3000, "busy", nil) // before anybody else is there
	if page := s.Decisions(DecisionQuery{}); page.Shown != fair.Burst || len(page.Rows) != fair.Kept {
		t.Fatalf("%d of %d", page.Shown, len(page.Rows))
	}
	for range 60 {
		now = now.Add(time.Second)
		decide(s, now, 2000, "busy", nil)
		decide(s, now, 20, "calm", nil)
		decide(s, now, 30, "small", func(e *Event) { e.Result, e.ErrorCategory = cell.Failure, "timeout" })
		s.Tick()
	}
	page := s.Decisions(DecisionQuery{})
	if got := page.ByRegion; got["busy"] > 520 || got["calm"] < 480 || got["small"] < 900 || len(got) != 3 {
		t.Errorf("of whom it is: %v", got)
	}
	if page.Shown > fair.Burst+61*fair.PerSecond*3 || page.ByNode[s.Node()] != len(page.Rows) {
		t.Errorf("%d shown; %v of %d", page.Shown, page.ByNode, len(page.Rows))
	}
	// As many regions as anybody likes share what is there.
	for i := range 5000 {
		decide(s, now, 1, fmt.Sprint("r", i), nil)
	}
	if page = s.Decisions(DecisionQuery{}); len(page.Rows) > 2*fair.Kept {
		t.Errorf("%d rows", len(page.Rows))
	}
}

// TestFeedOfACluster: whichever node is asked, the sample is of all regions alike,
// however much more one of them sends.
func TestFeedOfACluster(t *testing.T) {
	p := newPair(t)
	stores, ids := []*Store{p.a, p.b}, []OriginID{{"a", 1}, {"b", 1}}
	for _, s := range stores {
		s.SetMembers([]Member{{Name: "a", State: "alive", Known: true, Reporting: true}, {Name: "b", State: "alive", Known: true, Reporting: true}})
	}
	told := make([]uint64, 2)
	for range 100 {
		p.pass(500 * time.Millisecond)
		decide(p.a, p.now[0], 1000, "iad", nil)
		decide(p.a, p.now[0], 15, "sjc", nil)
		decide(p.b, p.now[1], 15, "lhr", func(e *Event) { e.RequestID = fmt.Sprint(p.now[1].UnixMilli(), e.DurationMicros) })
		for j, s := range stores {
			s.Tick()
			n := Notes{Decisions: s.ChangedDecisions(ids[j], told[j])}
			if len(n.Decisions) > sharedPerTick {
				t.Fatalf("%d decisions are told in a tick", len(n.Decisions))
			}
			if err := stores[1-j].MergeNotes(ids[j], &n); err != nil {
				t.Fatal(err)
			}
			told[j] = s.Sequence()
		}
	}
	a, b := p.a.Decisions(DecisionQuery{Limit: 100}), p.b.Decisions(DecisionQuery{Limit: 100})
	if !maps.Equal(a.ByRegion, b.ByRegion) || !maps.Equal(a.ByNode, b.ByNode) || a.ByRegion["iad"] > 400 || a.ByRegion["sjc"] < 300 || a.ByRegion["lhr"] < 300 {
		t.Errorf("%v %v\n%v %v", a.ByRegion, a.ByNode, b.ByRegion, b.ByNode)
	}
	shown := make(map[string]int)
	for i := range a.Rows {
		shown[a.Rows[i].Region]++
		if a.Rows[i].Key != b.Rows[i].Key && a.Rows[i].TS != b.Rows[i].TS {
			t.Fatalf("%+v\n%+v", a.Rows[i], b.Rows[i])
		}
	}
	if len(shown) != 3 || shown["iad"] > 50 {
		t.Errorf("a page is of %v", shown)
	}
	// A request is found where it was reported to, told or not.
	found := 0
	for i := range 15 {
		id := fmt.Sprint(p.now[1].UnixMilli(), i)
		found += len(p.b.Decisions(DecisionQuery{RequestID: id}).Rows)
		if own := p.b.OwnDecisions(id); len(own) != 1 {
			t.Errorf("%d of request %s", len(own), id)
		}
	}
	if found != 15 {
		t.Errorf("%d of 15 requests are found", found)
	}
}

// TestFindByAttempt: a provider is found where it failed, and the row says so.
func TestFindByAttempt(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, err := New(Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	decide(s, now, 1, "iad", func(e *Event) {
		e.ProviderID, e.FailoverCount = "good", 1
		e.Attempts = []Attempt{{ProviderID: "bad", Transport: WS, ErrorCategory: "timeout", Result: cell.Failure}}
	})
	decide(s, now, 1, "iad", func(e *Event) { e.ProviderID = "bad" })
	for _, c := range []struct {
		query DecisionQuery
		want  string
	}{
		{DecisionQuery{}, "bad:false good:false"},
		{DecisionQuery{Filter: Filter{ProviderDim: {"bad"}}}, "bad:false good:true"},
		{DecisionQuery{Filter: Filter{ProviderDim: {"good"}}}, "good:false"},
		{DecisionQuery{Filter: Filter{ProviderDim: {"bad", "good"}}}, "bad:false good:false"},
		{DecisionQuery{Filter: Filter{ProviderDim: {"bad"}, TransportDim: {"ws"}}}, "good:true"},
		{DecisionQuery{Filter: Filter{ProviderDim: {"good"}, TransportDim: {"ws"}}}, ""},
		{DecisionQuery{Filter: Filter{ProviderDim: {"bad"}}, ErrorCategories: []string{"timeout"}}, "good:true"},
		{DecisionQuery{ErrorCategories: []string{"timeout"}}, ""},
		{DecisionQuery{Filter: Filter{TransportDim: {"ws"}}}, ""},
	} {
		got := ""
		for _, d := range s.Decisions(c.query).Rows {
			got += fmt.Sprintf(" %s:%v", d.ProviderID, d.ByAttempt)
		}
		if got != "" {
			got = got[1:]
		}
		if got != c.want {
			t.Errorf("%+v: %q, not %q", c.query, got, c.want)
		}
	}
}

// TestFeedFilters: whatever rows can be filtered by, decisions can.
func TestFeedFilters(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, err := New(Options{Node: "iad", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	decide(s, now, 1, "r", func(e *Event) { e.Transport, e.RequestOrigin = WS, System })
	values := [NumDims]string{
		ProfileDim: "p", ChainDim: "c", ProviderDim: "x", MethodDim: "m", TransportDim: "ws", StrategyDim: "s",
		RequestOriginDim: "system", RegionDim: "r", NodeDim: "iad",
	}
	for dim := range NumDims {
		for value, rows := range map[string]int{values[dim]: 1, "other": 0} {
			var q DecisionQuery
			q.Filter[dim] = []string{value}
			if got := len(s.Decisions(q).Rows); got != rows {
				t.Errorf("%s=%s finds %d decisions, not %d", dim, value, got, rows)
			}
		}
	}
}
