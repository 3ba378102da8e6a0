package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestBuckets: every latency is in the bucket whose bounds say so, and buckets
// ascend.
func TestBuckets(t *testing.T) {
	check := func(micros uint64) {
		t.Helper()
		b := bucketOf(micros)
		lower, upper := bounds(b)
		// The bounds are rounded to 53 bits, the buckets are not: allow the rounding.
		if f := float64(micros); b > 0 && f <= lower*(1-1e-15) || f > upper*(1+1e-15) && b > 0 {
			t.Fatalf("%d µs is in bucket %d, (%v, %v]", micros, b, lower, upper)
		}
	}
	for micros := range uint64(100_000) {
		check(micros)
	}
	before := 0
	for f := 1.0; f < MaxMicros; f *= 1.0001 {
		check(uint64(f))
		if b := bucketOf(uint64(f)); b < before {
			t.Fatalf("bucket %d after %d", b, before)
		} else {
			before = b
		}
	}
	for e := range 37 { // a power of two is the upper bound of its bucket
		if b := bucketOf(1 << e); b != e*perOctave || bucketOf(1<<e+1) == b && e > 5 {
			t.Errorf("2^%d is in bucket %d", e, b)
		}
	}
	if b := bucketOf(MaxMicros); b != numBuckets-1 {
		t.Errorf("the longest latency is in bucket %d of %d", b, numBuckets)
	}
}

// TestPercentilesAgainstSorting: within 1.1 % of the exact nearest rank, whatever
// the shape of the data.
func TestPercentilesAgainstSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for name, draw := range map[string]func() float64{
		"log-normal": func() float64 { return 45_000 * math.Exp(0.6*rng.NormFloat64()) },
		"heavy tail": func() float64 { return 1_000 * math.Exp(2.5*rng.NormFloat64()) },
		"bimodal": func() float64 {
			if rng.IntN(10) < 7 {
				return 2_000 + 100*rng.NormFloat64()
			}
			return 10_000_000 + 1000*rng.NormFloat64()
		},
		"constant": func() float64 { return 41_237 },
		"tiny":     func() float64 { return float64(rng.IntN(4)) },
	} {
		for _, n := range []int{1, 2, 10, 1000, 50_000} {
			var c cell
			l := liveCell{}
			exact := make([]uint64, n)
			for i := range exact {
				exact[i] = uint64(min(max(draw(), 0), MaxMicros))
				l.add(&call{micros: exact[i], bucket: uint16(bucketOf(exact[i])), weight: 1})
			}
			c.merge(l.flush())
			slices.Sort(exact)
			var got [4]Micros
			c.successes.percentiles(uint64(n), c.min, c.max, percentileParts, got[:])
			for i, part := range percentileParts {
				want := float64(exact[nearestRank(uint64(n), part)-1])
				if diff := math.Abs(float64(got[i]) - want); diff > want*0.011+1 { // half a microsecond of rounding; 0 and 1 µs share a bucket
					t.Errorf("%s, n=%d, p%d: %d, exactly %v", name, n, part/10, got[i], want)
				}
			}
			if c.max != exact[n-1] || c.min != exact[0] {
				t.Errorf("%s, n=%d: from %d to %d, exactly %d to %d", name, n, c.min, c.max, exact[0], exact[n-1])
			}
		}
	}
}

// TestCellsAddUp: merging in any order gives the same bytes, packing loses
// nothing, and what was added can be taken away.
func TestCellsAddUp(t *testing.T) {
	names := newCategories()
	genCall := rapid.Custom(func(t *rapid.T) call {
		k := call{
			micros: rapid.Uint64Range(0, MaxMicros).Draw(t, "micros"), weight: uint32(rapid.IntRange(1, 1_000_000).Draw(t, "weight")),
			failovers: uint32(rapid.IntRange(0, 16).Draw(t, "failovers")), failed: rapid.Bool().Draw(t, "failed"), final: rapid.Bool().Draw(t, "final"),
		}
		if k.failed {
			k.category = names.id(rapid.SampledFrom([]string{"", "timeout", "own_a", "own_b", "rate_limit"}).Draw(t, "category"))
			k.providerFault = !names.get(k.category).blameless
		}
		if !k.final {
			k.failovers = 0
		}
		k.bucket = uint16(bucketOf(k.micros))
		return k
	})
	rapid.Check(t, func(t *rapid.T) {
		lists := rapid.SliceOfN(rapid.SliceOfN(genCall, 1, 40), 1, 6).Draw(t, "cells")
		packed := make([][]byte, len(lists))
		for i, list := range lists {
			l := liveCell{}
			for j := range list {
				l.add(&list[j])
			}
			packed[i] = l.flush().appendPacked(nil, names)
		}
		sum := func(order []int) *cell {
			var s cell
			for _, i := range order {
				var c cell
				if err := c.unpack(packed[i], names); err != nil {
					t.Fatalf("cell %x: %v", packed[i], err)
				}
				s.merge(&c)
			}
			return &s
		}
		order := make([]int, len(lists))
		for i := range order {
			order[i] = i
		}
		want := string(sum(order).appendPacked(nil, names))
		shuffled := rapid.Permutation(order).Draw(t, "order")
		s := sum(shuffled)
		if got := string(s.appendPacked(nil, names)); got != want {
			t.Fatalf("%v gives %x, want %x", shuffled, got, want)
		}
		for _, i := range shuffled[1:] {
			var c cell
			if err := c.unpack(packed[i], names); err != nil {
				t.Fatal(err)
			}
			s.subtract(&c)
		}
		alone := sum(shuffled[:1])
		s.min, s.max = alone.min, alone.max // which subtraction cannot know
		s.failedMin, s.failedMax = alone.failedMin, alone.failedMax
		if got, want := string(s.appendPacked(nil, names)), string(alone.appendPacked(nil, names)); got != want {
			t.Fatalf("after taking away %x, want %x", got, want)
		}
	})
}

// TestCellLog holds a log against a map.
func TestCellLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l cellLog
		model := make(map[uint32]string)
		for range rapid.IntRange(1, 200).Draw(t, "operations") {
			step := uint32(rapid.IntRange(100, 140).Draw(t, "step"))
			if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
				l.dropBefore(step)
				for s := range model {
					if s < step {
						delete(model, s)
					}
				}
			} else {
				text := rapid.StringN(1, 40, -1).Draw(t, "packed")
				l.put(step, 7, false, []byte(text))
				model[step] = text
			}
			n, last := 0, int64(-1)
			for o := l.head; int(o) < len(l.buf); n++ {
				e := l.at(o)
				if int64(e.step) <= last || model[e.step] != string(e.packed) {
					t.Fatalf("step %d after %d holds %q, want %q", e.step, last, e.packed, model[e.step])
				}
				last, o = int64(e.step), e.end
			}
			if n != len(model) {
				t.Fatalf("%d entries, want %d", n, len(model))
			}
			if e, ok := l.find(step); ok != (model[step] != "") || ok && string(e.packed) != model[step] {
				t.Fatalf("find %d: %q %v", step, e.packed, ok)
			}
		}
	})
}

// TestDedupPeriod: a repeat is found for 120 s, and forgotten after 240 s.
func TestDedupPeriod(t *testing.T) {
	for offset := int64(0); offset < 120_000; offset += 7_000 {
		for age, want := range map[int64]bool{1: true, 60_000: true, 119_999: true, 240_001: false, 900_000: false} {
			d := newDedup(64<<20, 0)
			sh := &d.shards[0]
			see := func(identity uint64, now int64) bool {
				sh.prepare(now)
				return sh.seen(identity, d.maxLines, now)
			}
			see(42<<8, offset)
			for now := offset; now < offset+age; now += 5000 {
				see(uint64(now)<<10, now) // other traffic turns the generations
			}
			if got := see(42<<8, offset+age); got != want {
				t.Errorf("seen at %d ms, again after %d ms: %v", offset, age, got)
			}
		}
	}
}

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

// TestDedupUnderItsCap: memory stays below the cap, the newest identities are
// found, and the period that is left is told.
func TestDedupUnderItsCap(t *testing.T) {
	const memory = 1 << 20
	d := newDedup(memory, 0)
	rng := rand.New(rand.NewPCG(1, 1))
	var recent []uint64
	for i := range 400_000 {
		now := int64(i) // a thousand a second
		identity := rng.Uint64()
		sh := &d.shards[dedupShardOf(identity)]
		sh.prepare(now)
		if sh.seen(identity, d.maxLines, now) {
			t.Fatal("seen, but it is new")
		}
		recent = append(recent, identity)
		if len(recent) > 10_000 {
			old := recent[len(recent)-10_000]
			if sh := &d.shards[dedupShardOf(old)]; !sh.seen(old, d.maxLines, now) {
				t.Fatalf("after %d: one of the last 10,000 is not found", i)
			}
		}
	}
	bytes, identities, period := d.usage()
	if bytes > memory || identities < 15_000 || period < 10*time.Second || period >= dedupPeriod {
		t.Errorf("%d bytes, %d identities, period %v", bytes, identities, period)
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
	table := s.NewTable(Query{By: []Dim{MethodDim}, Window: Window1m})
	table.Refresh()
	for _, r := range table.Rows() {
		total += r.Calls
		methods[r.Key] = r.Calls
	}
	if total != 100 || methods[otherName] != 84 || table.Meta().OverflowCalls != 84 || s.Usage().Series > 19 {
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
	for b := range numBuckets {
		_, upper := bounds(b)
		e.UpstreamMicros, e.Failed, e.ErrorCategory = min(uint64(upper), MaxMicros), true, fmt.Sprintf("%0128d", b)
		apply(e)
		e.Failed, e.ErrorCategory = false, ""
		apply(e)
	}
	for range 120 {
		now = now.Add(time.Second)
		s.Tick()
	}
	table := s.NewTable(Query{By: []Dim{ChainDim}, Window: Window5m})
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
	table := s.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: Window1m, Providers: true})
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
