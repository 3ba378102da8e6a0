package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"remuda/store/cell"
	"remuda/store/heights"
)

// reporters tell a store what they see, on a clock of the test's.
type reporters struct {
	t     *testing.T
	now   time.Time
	store *Store
}

func newReporters(t *testing.T) *reporters {
	r := &reporters{t: t, now: time.UnixMilli(1_800_000_000_000)}
	var err error
	if r.store, err = New(Options{Now: func() time.Time { return r.now }}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *reporters) tell(e Event) {
	r.t.Helper()
	e.TS, e.Profile, e.Chain, e.SourceRegion = r.now.UnixMilli(), "p", "base", "iad"
	if e.SourceNode == "" {
		e.SourceNode = "gw"
	}
	if got := r.store.Apply([]Event{e}); got.Accepted != 1 {
		r.t.Fatalf("%+v", got)
	}
}

func (r *reporters) height(provider string, height uint64, source HeightSource) {
	r.t.Helper()
	r.tell(Event{Kind: Block, ProviderID: provider, Height: height, HeightSource: source})
}

func (r *reporters) calls(provider string, n uint32, failed bool) {
	r.t.Helper()
	e := Event{ProviderID: provider, Method: "m", Strategy: "s", Weight: n, DurationMicros: 1000, UpstreamMicros: 1000}
	if failed {
		e.Result, e.ErrorCategory = cell.Failure, "timeout"
	}
	r.tell(e)
}

// pass lets time go by, with ticks, and tells what comes on the way.
func (r *reporters) pass(d, every time.Duration, tell func()) {
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(every)
		if tell != nil {
			tell()
		}
		r.store.Tick()
	}
}

func (r *reporters) state(provider string) *ProviderState {
	r.t.Helper()
	table := r.store.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window1m, Providers: true})
	table.Refresh()
	for _, row := range table.Rows() {
		if row.Dims[ProviderDim] == provider {
			return row.Provider
		}
	}
	r.t.Fatalf("there is no row of %s", provider)
	return nil
}

// lag is "none" without one.
func (r *reporters) lag(provider string) string {
	r.t.Helper()
	if p := r.state(provider); p.HasLag {
		return fmt.Sprint(p.LagBlocks)
	}
	return "none"
}

func (r *reporters) rules() (rules []string) {
	_, list := Watch(r.store)(Filter{}, cell.Window1m, nil)
	for _, a := range list {
		rules = append(rules, a.Rule)
	}
	return rules
}

func (r *reporters) rank() map[string]RankedRow { return Ranked(r.store, "base") }

// TestConsensus: how high a chain is takes two to say.
func TestConsensus(t *testing.T) {
	for _, c := range []struct {
		heights []uint64
		want    string // lags
	}{
		{[]uint64{1000}, "none"},
		{[]uint64{1000, 1007}, "-7 0"},
		{[]uint64{1000, 1050}, "0 50"},
		{[]uint64{1000, 1101}, "none none"},
		{[]uint64{1000, 1000, 31_000_000}, "0 0 30999000"},
		{[]uint64{5, 1000, 1001}, "-995 0 1"},
		{[]uint64{1000, 1001, 1002, 31_000_000}, "-2 -1 0 30998998"},
		{[]uint64{90, 100, 101, 102, 103}, "-12 -2 -1 0 1"},
	} {
		r := newReporters(t)
		for sender := range 3 { // a witness is a provider, not one who asks it
			for i, h := range c.heights {
				r.tell(Event{Kind: Block, ProviderID: fmt.Sprint("p", i), Height: h, SourceNode: fmt.Sprint("gw", sender)})
			}
		}
		var got []string
		for i := range c.heights {
			got = append(got, r.lag(fmt.Sprint("p", i)))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%d: %s, not %s", c.heights, got, c.want)
		}
		for _, b := range r.store.Blocks(Filter{}) {
			if p := r.state(b.ProviderID); b.HasLag != p.HasLag || b.LagBlocks != p.LagBlocks {
				t.Errorf("%d: %s is %+v in the list and %+v in its row", c.heights, b.ProviderID, b, p)
			}
		}
	}
}

// TestHeightOfAnotherChain: who answers with the height of another chain is flagged,
// and the others are not.
func TestHeightOfAnotherChain(t *testing.T) {
	r := newReporters(t)
	for _, p := range []string{"a", "b", "w"} {
		r.calls(p, 30, false)
		h := uint64(1000)
		if p == "w" {
			h = 31_000_000
		}
		r.height(p, h, HeightSourceUnknown)
	}
	rows := r.rank()
	if a, w := rows["a"], rows["w"]; !a.Eligible || !rows["b"].Eligible || w.Eligible || !slices.Equal(w.Reasons, []string{"ahead"}) {
		t.Errorf("%+v\n%+v", a, w)
	}
	if w := r.state("w"); w.Status != StatusDegraded || len(w.StatusReasons) != 1 || !strings.Contains(w.StatusReasons[0], "30999000 blocks ahead") {
		t.Errorf("%+v", w)
	}
	if a := r.state("a"); a.Status != StatusHealthy {
		t.Errorf("%+v", a)
	}

	r = newReporters(t)
	r.height("a", 1000, HeightSourceUnknown)
	r.height("w", 31_000_000, HeightSourceUnknown)
	if rules := r.rules(); !slices.Equal(rules, []string{"heights_disagree"}) {
		t.Errorf("of two that disagree: %v", rules)
	}
}

// TestLastWitness: who is left alone is no consensus, whether its height moves or not.
func TestLastWitness(t *testing.T) {
	for _, source := range []HeightSource{HeightFromHTTP, HeightFromWS} {
		for _, moves := range []uint64{0, 1} {
			r := newReporters(t)
			height := uint64(1000)
			r.pass(20*time.Second, time.Second, func() {
				height++
				r.height("a", height, source)
				r.height("b", height, source)
			})
			left := r.now.Add(heightFresh * time.Millisecond)
			r.pass(5*time.Minute, time.Second, func() {
				height += moves
				r.height("a", height, source)
				if lag := r.lag("a"); (lag == "none") != r.now.After(left) {
					t.Fatalf("%v, moving by %d, %v after: %s", source, moves, r.now.Sub(left), lag)
				}
			})
			r.height("b", height, source)
			if lag := r.lag("a"); lag != "0" {
				t.Errorf("with a second witness again: %s", lag)
			}
		}
	}
}

// TestPolls: a height that was asked for is compared with the consensus of when it was.
func TestPolls(t *testing.T) {
	r := newReporters(t)
	height := uint64(1000)
	heads := func() {
		height += 2
		for _, p := range []string{"a", "b", "c"} {
			r.height(p, height, HeightFromWS)
		}
	}
	r.pass(10*time.Second, 500*time.Millisecond, heads)
	r.height("polled", height, HeightFromHTTP)
	r.height("slow", height-30, HeightFromHTTP)
	r.height("stuck", height, HeightFromWS)
	r.pass(50*time.Second, 500*time.Millisecond, heads) // 200 blocks
	if polled, slow, stuck := r.lag("polled"), r.lag("slow"), r.lag("stuck"); polled != "0" || slow != "-30" || stuck != "-200" {
		t.Errorf("polled %s, slow %s, stuck %s", polled, slow, stuck)
	}
	if marks := r.store.headMarks.Load(); marks > 2*heights.Kept/headsSampled {
		t.Errorf("%d marks", marks)
	}
	r.pass(10*time.Minute, 500*time.Millisecond, heads)
	if marks := r.store.headMarks.Load(); marks > heights.Kept/headsSampled+heights.Steps {
		t.Errorf("%d marks", marks)
	}
	r.pass(2*time.Hour, time.Minute, nil)
	if marks := r.store.headMarks.Load(); marks != 0 {
		t.Errorf("%d marks are left of nothing", marks)
	}
	// One whose sender's clock is ahead has no block that is still to come.
	r = newReporters(t)
	height = 1000
	r.pass(20*time.Second, 250*time.Millisecond, func() {
		height++
		for _, p := range []string{"a", "b", "c"} {
			r.height(p, height, HeightFromWS)
		}
		if height%40 == 0 {
			r.store.Apply([]Event{{
				Kind: Block, TS: r.now.UnixMilli() + 4500, Profile: "p", Chain: "base", ProviderID: "early", SourceNode: "fast", SourceRegion: "iad",
				Height: height, HeightSource: HeightFromHTTP,
			}})
		}
		if height > 1040 {
			if lag := r.lag("early"); lag != "0" {
				t.Fatalf("by a clock that is ahead: %s", lag)
			}
		}
	})
	// Two that are asked in turn differ by what the chain made meanwhile.
	r = newReporters(t)
	n := 0
	r.pass(5*time.Minute, 30*time.Second, func() { // 120 blocks
		n++
		r.height(string(rune('a'+n%2)), 1000+120*uint64(n), HeightFromHTTP)
	})
	if rules := r.rules(); len(rules) > 0 {
		t.Errorf("asked in turn: %v", rules)
	}
}

// TestSilenceIsUnknown: what was bad and is not heard of any more is unknown, with what
// it was and since when; a new word clears it.
func TestSilenceIsUnknown(t *testing.T) {
	said := func(provider string, tell, after func(r *reporters), silent time.Duration, reason string) {
		t.Helper()
		r := newReporters(t)
		tell(r)
		if after == nil {
			after = func(*reporters) {}
		}
		at := r.now
		r.pass(silent, time.Second, func() { after(r) })
		p := r.state(provider)
		if p.Status != StatusUnknown || len(p.StatusReasons) != 1 || p.SilentSince != at.UnixMilli() ||
			p.StatusReasons[0] != reason+" when last heard of, 2027-01-15T08:00:00Z: "+strings.SplitN(p.StatusReasons[0], ": ", 2)[1] {
			t.Errorf("%s: %+v", reason, p)
		}
		_, list := Watch(r.store)(Filter{}, cell.Window1m, nil)
		i := slices.IndexFunc(list, func(a Alarm) bool { return a.Key == "provider/base/"+provider })
		if i < 0 || list[i].Rule != "unknown" || list[i].SinceAt != at.UnixMilli() {
			t.Errorf("%s: %+v", reason, list)
		}
	}
	heights := func(r *reporters) {
		for i, p := range []string{"a", "b", "c", "slow"} {
			r.height(p, uint64(1000-i*20), HeightFromWS)
		}
	}
	others := func(r *reporters) {
		for _, p := range []string{"a", "b", "c"} {
			r.height(p, 1001, HeightFromWS)
		}
		r.calls("slow", 30, false)
	}
	said("slow", heights, others, 70*time.Second, "lagging")
	said("slow", heights, nil, 70*time.Second, "lagging") // all of them at once
	said("x", func(r *reporters) {
		r.tell(Event{Kind: Circuit, ProviderID: "x", To: CircuitOpen})
	}, nil, 310*time.Second, "circuit_open")
	said("x", func(r *reporters) {
		r.tell(Event{Kind: Health, ProviderID: "x", Status: Unhealthy})
	}, nil, 310*time.Second, "degraded")
	said("y", func(r *reporters) {
		r.tell(Event{Kind: Health, ProviderID: "y", Status: Healthy, ConsecutiveFailures: 7})
		if p := r.state("y"); p.StatusReasons[0] != "7 consecutive failures" {
			r.t.Error(p)
		}
	}, func(r *reporters) {
		if p := r.state("y"); p.Status == StatusUnknown && !strings.HasSuffix(p.StatusReasons[0], ": 7 consecutive failures") {
			r.t.Error(p)
		}
	}, 310*time.Second, "degraded")
	said("x", func(r *reporters) { r.calls("x", 30, true) }, nil, 70*time.Second, "failing")
	said("x", func(r *reporters) { r.calls("x", 30, true) }, nil, 40*time.Minute, "failing")

	r := newReporters(t)
	heights(r)
	r.pass(70*time.Second, time.Second, func() { others(r) })
	if row := r.rank()["slow"]; row.Eligible || !slices.Contains(row.Reasons, "unknown") {
		t.Errorf("%+v", row)
	}
	r.height("slow", 1001, HeightFromWS)
	if p := r.state("slow"); p.Status != StatusHealthy || p.SilentSince != 0 {
		t.Errorf("heard of again: %+v", p)
	}
	// What was well is unknown, and nothing to worry about.
	r.calls("well", 30, false)
	r.pass(70*time.Second, time.Second, nil)
	if p := r.state("well"); p.Status != StatusUnknown || len(p.StatusReasons) > 0 {
		t.Errorf("%+v", p)
	}
}

// TestChainStalls: a consensus that stands still for ten times as long as it does is an
// alarm, however fast the chain.
func TestChainStalls(t *testing.T) {
	for _, step := range []time.Duration{250 * time.Millisecond, 2 * time.Second, 12 * time.Second} {
		r := newReporters(t)
		began := r.now
		last := r.now
		moving := true
		tell := func() {
			if moving {
				last = r.now
			}
			for _, p := range []string{"a", "b", "c"} {
				r.height(p, 1000+uint64(last.Sub(began)/step), HeightFromWS)
			}
		}
		calm := func(when string) {
			t.Helper()
			if rules := r.rules(); len(rules) > 0 {
				t.Errorf("%v, %s: %v", step, when, rules)
			}
		}
		r.pass(20*step, min(step, time.Second), tell)
		calm("moving")
		moving = false
		most := max(10*step, 10*time.Second)
		r.pass(most*8/10, time.Second, tell)
		calm("for a while")
		r.pass(most*4/10, time.Second, tell)
		_, list := Watch(r.store)(Filter{}, cell.Window1m, nil)
		if len(list) != 1 || list[0].Rule != "chain_stalled" || list[0].Severity != "critical" || list[0].SinceAt < last.Add(-step-time.Second).UnixMilli() || list[0].SinceAt > last.UnixMilli() {
			t.Errorf("%v: %+v", step, list)
		}
		moving = true
		r.pass(2*step, min(step, time.Second), tell)
		calm("moving again")
	}
	// The first step is cut, and no measure of the others.
	for _, first := range []time.Duration{200 * time.Millisecond, time.Second, 2 * time.Second} {
		r := newReporters(t)
		began := r.now
		r.pass(3*time.Minute, 200*time.Millisecond, func() {
			height := uint64(1000)
			if passed := r.now.Sub(began) - first; passed >= 0 {
				height += 1 + uint64(passed/(30*time.Second))
			}
			for _, p := range []string{"a", "b", "c"} {
				r.height(p, height, HeightFromHTTP)
			}
			if rules := r.rules(); len(rules) > 0 {
				t.Fatalf("%v after the first step of %v: %v", r.now.Sub(began), first, rules)
			}
		})
	}
	// One that never moved is one after ten minutes.
	r := newReporters(t)
	tell := func() { r.height("a", 7, HeightFromHTTP) }
	r.pass(9*time.Minute, 5*time.Second, tell)
	if rules := r.rules(); len(rules) > 0 {
		t.Error(rules)
	}
	r.pass(2*time.Minute, 5*time.Second, tell)
	if rules := r.rules(); !slices.Equal(rules, []string{"chain_stalled"}) {
		t.Error(rules)
	}
}

// TestHeightsAreTheSameEverywhere: heights that came to two nodes give the same on both.
func TestHeightsAreTheSameEverywhere(t *testing.T) {
	p := newPair(t)
	stores, ids := []*Store{p.a, p.b}, []OriginID{{"a", 1}, {"b", 1}}
	told := make([]uint64, 2)
	height := uint64(1000)
	for i := range 300 {
		p.pass(500 * time.Millisecond)
		height++
		for j := range 6 {
			e := Event{Kind: Block, TS: p.now[0].UnixMilli(), Profile: "p", Chain: "c", ProviderID: fmt.Sprint("p", j), SourceNode: fmt.Sprint("g", j), SourceRegion: "r", Height: height}
			switch {
			case j < 3:
				e.HeightSource = HeightFromWS
			case j == 3 && i > 200, (i+j)%40 != 0: // it went silent, or it is not its turn
				continue
			case j == 3:
				e.Height -= 40
			}
			stores[j%2].Apply([]Event{e})
		}
		for j, s := range stores {
			s.Tick()
			if err := stores[1-j].MergeNotes(ids[j], s.ChangedNotes(ids[j], told[j])); err != nil {
				t.Fatal(err)
			}
			told[j] = s.Sequence()
		}
		if i < 50 || i%20 > 0 {
			continue
		}
		var rows [2][]string
		for j, s := range stores {
			table := s.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window1m, Providers: true})
			table.Refresh()
			for _, row := range table.Rows() {
				rows[j] = append(rows[j], fmt.Sprintf("%s %+v", row.Key, *row.Provider))
			}
		}
		if len(rows[0]) < 6 || !slices.Equal(rows[0], rows[1]) {
			t.Fatalf("%d:\n%s\n\n%s", i, strings.Join(rows[0], "\n"), strings.Join(rows[1], "\n"))
		}
	}
}

// TestHeightsOfASilentNode: what was wrong by the heights of a node that fails is
// unknown with it, though others call the provider; and nothing of it is kept once it
// is forgotten.
func TestHeightsOfASilentNode(t *testing.T) {
	p := newPair(t)
	event := func(e Event) Event {
		e.TS, e.Profile, e.Chain, e.SourceNode, e.SourceRegion = p.now[0].UnixMilli(), "p", "c", "g", "r"
		return e
	}
	told := uint64(0)
	second := func(height uint64) {
		p.pass(time.Second)
		if height > 0 {
			for i, name := range []string{"x", "y", "slow"} {
				e := event(Event{Kind: Block, ProviderID: name, Height: height - uint64(i)*20, HeightSource: HeightFromWS})
				p.a.Apply([]Event{e})
			}
		}
		p.b.Apply([]Event{event(Event{ProviderID: "slow", Method: "m", Strategy: "s", Weight: 30, DurationMicros: 1})})
		p.a.Tick()
		if err := p.b.MergeNotes(p.id, p.a.ChangedNotes(p.id, told)); err != nil {
			t.Fatal(err)
		}
		told = p.a.Sequence()
		p.b.Tick()
	}
	slow := func() *ProviderState {
		table := p.b.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window1m, Providers: true})
		table.Refresh()
		for _, row := range table.Rows() {
			if row.Dims[ProviderDim] == "slow" {
				return row.Provider
			}
		}
		return nil
	}
	for i := range uint64(10) {
		second(1000 + i)
	}
	at := p.now[0].UnixMilli()
	if s := slow(); s.Status != StatusLagging {
		t.Fatalf("%+v", s)
	}
	member := Member{Name: "a", Incarnation: 1, State: "failed", Known: true, Silent: true}
	for i := range 100 {
		p.b.SetMembers([]Member{member, {Name: "b", State: "alive", Known: true, Reporting: true}})
		if s := slow(); s.Status != StatusUnknown || s.SilentSince != at || !strings.HasSuffix(s.StatusReasons[0], ": 20 blocks behind") {
			t.Fatalf("%d s later: %+v", i, s)
		}
		second(0)
	}
	member.State, member.Silent = "alive", false
	p.b.SetMembers([]Member{member, {Name: "b", State: "alive", Known: true, Reporting: true}})
	for range 3 {
		second(1200)
	}
	if s := slow(); s.Status != StatusLagging {
		t.Errorf("heard of again: %+v", s)
	}
	if !p.b.Forget(p.id) {
		t.Error("it is not forgotten")
	}
	second(0)
	if marks := p.b.headMarks.Load(); marks != 0 {
		t.Errorf("%d marks are left of nothing", marks)
	}
}
