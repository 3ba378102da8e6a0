package store

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"remuda/store/cell"
)

// oracle is the store as one would write it without a thought for speed: it
// keeps every call and looks at all of them for every answer.
type oracle struct {
	calls []oracleCall
}

type oracleCall struct {
	dims      [NumDims]string
	ts        int64
	micros    uint64
	weight    uint64
	failovers uint64
	category  string
	result    cell.Result
	hedge     bool
	final     bool
}

func (o *oracle) apply(e *Event) {
	c := oracleCall{
		ts: e.TS, micros: e.UpstreamMicros, weight: uint64(e.Weight), failovers: uint64(e.FailoverCount) * uint64(e.Weight),
		category: e.ErrorCategory, result: e.Result, hedge: e.CallReason == ReasonHedge, final: true,
		dims: [NumDims]string{
			e.Profile, e.Chain, e.ProviderID, e.Method, e.Transport.String(),
			e.Strategy, e.RequestOrigin.String(), e.SourceRegion, "n1",
		},
	}
	o.calls = append(o.calls, c)
	for _, a := range e.Attempts {
		t := c
		t.dims[ProviderDim], t.dims[TransportDim] = a.ProviderID, a.Transport.String()
		t.micros, t.category, t.result, t.final, t.failovers = a.DurationMicros, a.ErrorCategory, a.Result, false, 0
		t.hedge = a.Reason == ReasonHedge
		o.calls = append(o.calls, t)
	}
}

// rows answers a query at a second.
func (o *oracle) rows(q Query, second int64) map[string]*Row {
	rows := make(map[string]*Row)
	latencies, failures, cutOffs := make(map[string][]weighted), make(map[string][]weighted), make(map[string][]weighted)
	sums := make(map[string]uint64)
	scopes := make(map[string]uint64)
	for i := range o.calls {
		c := &o.calls[i]
		if cell.Tier60s.StepAt(c.ts/1000) < cell.Tier60s.KeptFrom(second) {
			continue // nothing of it is left anywhere
		}
		scoped, taken := true, true
		for d := range NumDims {
			if !matches(q.Filter[d], c.dims[d]) {
				taken = false
				scoped = scoped && d == ProviderDim
			}
		}
		inWindow := q.Window.Tier().StepAt(c.ts/1000) >= q.Window.Start(second)
		scope := ""
		if slices.Contains(q.By, ChainDim) {
			scope = c.dims[ChainDim]
		}
		if scoped && inWindow && c.result != cell.NotSent {
			scopes[scope] += c.weight
		}
		if !taken {
			continue
		}
		var parts []string
		for _, d := range q.By {
			parts = append(parts, c.dims[d])
		}
		key := strings.Join(parts, "/")
		r := rows[key]
		if r == nil {
			r = &Row{Key: key, Figures: Figures{Latencies: new(cell.Cell).Latencies()}}
			for _, d := range q.By {
				r.Dims[d] = c.dims[d]
			}
			rows[key] = r
		}
		r.LastSeenAt = max(r.LastSeenAt, c.ts)
		if !inWindow {
			continue
		}
		if c.result == cell.NotSent {
			r.NotSent += c.weight
			continue
		}
		r.Calls += c.weight
		if c.hedge {
			r.Hedges += c.weight
			if c.final && c.result == cell.Success {
				r.HedgeWins += c.weight
			}
		}
		r.Samples++
		if c.final {
			r.Requests += c.weight
			r.Failovers += c.failovers
		}
		switch c.result {
		case cell.Cancelled:
			r.CutOff += c.weight
			cutOffs[key] = append(cutOffs[key], weighted{c.micros, c.weight})
			continue
		case cell.Success:
			latencies[key] = append(latencies[key], weighted{c.micros, c.weight})
			sums[key] += c.micros * c.weight
			r.Max = max(r.Max, cell.Micros(c.micros))
			continue
		}
		r.Errors += c.weight
		if c.final {
			r.RequestErrors += c.weight
		}
		category := c.category
		if category == "" {
			category = "unknown_error"
		}
		if !blameless[category] {
			r.ProviderErrors += c.weight
		}
		at := slices.IndexFunc(r.Categories, func(k cell.CategoryCount) bool { return k.Category == category })
		if at < 0 {
			r.Categories = append(r.Categories, cell.CategoryCount{Category: category})
			at = len(r.Categories) - 1
		}
		r.Categories[at].Count += c.weight
		failures[key] = append(failures[key], weighted{c.micros, c.weight})
	}
	for key, r := range rows {
		slices.SortFunc(r.Categories, func(a, b cell.CategoryCount) int { return strings.Compare(a.Category, b.Category) })
		if n := r.Calls - r.Errors - r.CutOff; n > 0 {
			r.Avg = cell.Micros((2*sums[key] + n) / (2 * n))
			low, high := extremes(latencies[key])
			percentile := func(part uint64) cell.Micros { return rankOf(latencies[key], part, low, high) }
			r.Mean = r.Avg
			if r.CutOff > 0 {
				percentile, r.Mean = curveOf(latencies[key], cutOffs[key], (30*r.Calls+r.Samples-1)/r.Samples)
			}
			r.P50, r.P90, r.P95, r.P99 = percentile(500), percentile(900), percentile(950), percentile(990)
		}
		if r.Errors > 0 {
			low, high := extremes(failures[key])
			r.FailureP95 = rankOf(failures[key], 950, low, high)
		}
		scope := ""
		if slices.Contains(q.By, ChainDim) {
			scope = r.Dims[ChainDim]
		}
		r.ScopeCalls = scopes[scope]
	}
	return rows
}

// blameless are categories of random events.
var blameless = map[string]bool{"rate_limit": true, "execution_revert": true, "user_error": true}

type weighted struct{ micros, weight uint64 }

// rankOf is the percentile by sorting: the midpoint of the bucket of the call
// with the nearest rank, clamped.
func rankOf(list []weighted, part, low, high uint64) cell.Micros {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b weighted) int { return int(int64(a.micros) - int64(b.micros)) })
	var total, below uint64
	for _, l := range list {
		total += l.weight
	}
	for _, l := range list {
		if below += l.weight; below >= max((total*part+999)/1000, 1) {
			middle, _ := bucketOf(l.micros)
			return cell.Micros(min(max(middle, low), high))
		}
	}
	return cell.None
}

// bucketOf returns the value that stands for the bucket of a latency, and the least there can be in it.
func bucketOf(micros uint64) (middle, least uint64) {
	var one cell.Open
	one.Add(&cell.Call{Micros: micros, Weight: 1, Bucket: uint16(cell.BucketOf(micros))})
	b := one.Flush().Buckets()[0]
	return uint64(math.Round(2 * b.LowerMicros * b.UpperMicros / (b.LowerMicros + b.UpperMicros))), uint64(b.LowerMicros) + 1
}

// curveOf is the product-limit estimate: its percentiles, which need a number of calls
// that were still running, and its mean.
func curveOf(successes, cutOffs []weighted, atRisk uint64) (percentile func(part uint64) cell.Micros, mean cell.Micros) {
	low, longest := extremes(successes)
	high := longest
	type count struct{ ended, cut, micros uint64 }
	buckets := make(map[int]count)
	running := uint64(0)
	for i, l := range slices.Concat(successes, cutOffs) {
		b := cell.BucketOf(l.micros)
		c := buckets[b]
		if c.micros = l.micros; i < len(successes) {
			c.ended += l.weight
		} else {
			c.cut += l.weight
			_, least := bucketOf(l.micros)
			longest = max(longest, least)
		}
		buckets[b] = c
		running += l.weight
	}
	type step struct {
		left          *big.Int // 2^63 are all
		value, atRisk uint64
	}
	var steps []step
	left, sum := new(big.Int).Lsh(big.NewInt(1), 63), new(big.Int)
	for _, b := range slices.Sorted(maps.Keys(buckets)) {
		c := buckets[b]
		if c.ended > 0 {
			middle, _ := bucketOf(c.micros)
			s := step{new(big.Int), min(max(middle, low), high), running}
			s.left.Mul(left, new(big.Int).SetUint64(2*(running-c.ended)-c.cut))
			s.left.Quo(s.left, new(big.Int).SetUint64(2*running-c.cut))
			sum.Add(sum, new(big.Int).Mul(new(big.Int).Sub(left, s.left), new(big.Int).SetUint64(s.value)))
			left = s.left
			steps = append(steps, s)
		}
		running -= c.ended + c.cut
	}
	sum.Add(sum, new(big.Int).Mul(left, new(big.Int).SetUint64(longest)))
	sum.Add(sum, new(big.Int).Lsh(big.NewInt(1), 62))
	return func(part uint64) cell.Micros {
		for _, s := range steps {
			parts := new(big.Int).Mul(s.left, big.NewInt(1000))
			if parts.Cmp(new(big.Int).Lsh(new(big.Int).SetUint64(1000-part), 63)) > 0 {
				continue
			}
			if s.atRisk < atRisk {
				break
			}
			return cell.Micros(s.value)
		}
		return cell.None
	}, cell.Micros(sum.Rsh(sum, 63).Uint64())
}

func extremes(list []weighted) (low, high uint64) {
	low = list[0].micros
	for _, l := range list {
		low, high = min(low, l.micros), max(high, l.micros)
	}
	return low, high
}

// randomEvent makes an event at or before an instant.
func randomEvent(rng *rand.Rand, now int64, n int) Event {
	age := int64(rng.IntN(3000))
	switch rng.IntN(20) {
	case 0:
		age = int64(rng.IntN(100_000))
	case 1:
		age = int64(rng.IntN(3_590_000))
	case 2:
		age = -int64(rng.IntN(5000))
	}
	micros := uint64(rng.ExpFloat64() * 50_000)
	e := Event{
		Sent: FieldRequestID | FieldTS, TS: now - age, SentTS: now - age, Profile: "default",
		Chain: fmt.Sprintf("c%d", rng.IntN(2)), ProviderID: fmt.Sprintf("p%d", rng.IntN(3)), Method: fmt.Sprintf("m%d", rng.IntN(2)),
		Strategy: "fastest", SourceNode: "gw", SourceRegion: fmt.Sprintf("r%d", rng.IntN(2)), RequestID: fmt.Sprint("req", n),
		Transport: Transport(rng.IntN(2)), RequestOrigin: RequestOrigin(rng.IntN(10) / 9), Weight: 1,
		DurationMicros: micros, UpstreamMicros: micros,
	}
	if rng.IntN(10) == 0 {
		e.Weight = uint32(1 + rng.IntN(50))
	}
	if rng.IntN(8) == 0 {
		e.Result, e.ErrorCategory = cell.Failure, []string{"", "timeout", "execution_revert", "rate_limit", "own_category"}[rng.IntN(5)]
	}
	if rng.IntN(10) == 0 {
		e.FailoverCount = 1
		e.Attempts = []Attempt{{ProviderID: fmt.Sprintf("p%d", rng.IntN(3)), ErrorCategory: "timeout", DurationMicros: 10_000_000, Result: cell.Failure}}
	}
	if rng.IntN(10) == 0 {
		e.Result = cell.Cancelled
	}
	if rng.IntN(5) == 0 {
		e.CallReason = CallReason(rng.IntN(int(numCallReasons)))
		for range rng.IntN(3) {
			e.Attempts = append(e.Attempts, Attempt{
				ProviderID: fmt.Sprintf("p%d", rng.IntN(3)), DurationMicros: uint64(rng.ExpFloat64() * 50_000),
				Result: cell.Result(rng.IntN(int(cell.NumResults))), Reason: CallReason(rng.IntN(int(numCallReasons))),
			})
		}
	}
	return e
}

// follower is a client that knows nothing but what refreshes told it.
type follower struct {
	table *Table
	rows  map[string]*Row
}

func (f *follower) refresh() {
	changed, removed := f.table.Refresh()
	for _, key := range removed {
		delete(f.rows, key)
	}
	for _, r := range changed {
		f.rows[r.Key] = r
	}
}

// TestAgainstOracle lets a store and the oracle live through the same hours:
// events on time, late and early, ticks in time and missing, jumps of the clock.
// Tables that are refreshed at random must always say what the oracle says, whether
// there is room for the totals of all windows, of some, or of none.
func TestAgainstOracle(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			now := time.UnixMilli(1_800_000_000_000 + int64(rng.IntN(60_000)))
			s, err := New(Options{Node: "n1", TotalBytes: []int64{0, 100_000, 1}[seed%3], Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			var o oracle
			var followers []*follower
			for w := range cell.NumWindows {
				for _, q := range []Query{
					{By: []Dim{ChainDim, ProviderDim}, Window: w},
					{By: []Dim{RegionDim}, Window: w, Filter: Filter{ProviderDim: {"p0", "p1"}}},
					{By: []Dim{MethodDim, NodeDim}, Window: w, Filter: Filter{RequestOriginDim: {"client"}, ChainDim: {"c1"}}},
				} {
					followers = append(followers, &follower{table: s.NewTable(q), rows: make(map[string]*Row)})
				}
			}
			n := 0
			for step := range 400 {
				for range rng.IntN(4) {
					events := make([]Event, rng.IntN(20))
					for i := range events {
						events[i] = randomEvent(rng, now.UnixMilli(), n)
						n++
						o.apply(&events[i])
					}
					if r := s.Apply(events); r.Accepted != len(events) {
						t.Fatalf("receipt %+v for %d events", r, len(events))
					}
				}
				switch rng.IntN(30) {
				case 0:
					now = now.Add(time.Duration(rng.IntN(100)) * time.Second)
				case 1:
					now = now.Add(time.Duration(rng.IntN(1200)) * time.Second)
				default:
					now = now.Add(time.Duration(rng.IntN(1500)) * time.Millisecond)
				}
				if rng.IntN(4) > 0 {
					s.Tick()
				}
				f := followers[rng.IntN(len(followers))]
				f.refresh()
				want := o.rows(f.table.query, now.UnixMilli()/1000)
				if held := totalsHeld(s); held != s.totalBytes.Load() {
					t.Fatalf("step %d: totals of %d bytes are kept, not %d", step, held, s.totalBytes.Load())
				}
				if !equalRows(f.rows, want) {
					t.Fatalf("step %d, query %+v\n got %s\nwant %s", step, f.table.query, describe(f.rows), describe(want))
				}
			}
		})
	}
}

// totalsHeld adds up what the totals that are kept take.
func totalsHeld(s *Store) (bytes int64) {
	for i := range s.shards {
		for _, o := range s.shards[i].parts {
			for _, r := range o.rows {
				for w := range cell.NumWindows {
					if r != nil && r.totals[w] != nil {
						bytes += int64(r.totals[w].size())
					}
				}
			}
		}
	}
	return bytes
}

// TestTotalsAreBounded: beyond their bound totals are made for each reader and not kept.
func TestTotalsAreBounded(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	const bound = 50_000
	s, err := New(Options{TotalBytes: bound, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range workload(1000, 5, 1000, s.Now()) {
		s.Apply(batch)
	}
	s.Tick()
	for w := range cell.NumWindows {
		table := s.NewTable(Query{By: []Dim{ChainDim}, Window: w})
		table.Refresh()
	}
	if u := s.Usage(); u.TotalBytes < bound/2 || u.TotalBytes > bound || u.MaxTotalBytes != bound {
		t.Errorf("%d of %d bytes are used", u.TotalBytes, u.MaxTotalBytes)
	}
	now = now.Add((keepTotals + 120) * time.Second) // nobody has asked for so long
	s.Tick()
	if u := s.Usage(); u.TotalBytes >= bound/2 {
		t.Errorf("%d bytes are used although nobody reads", u.TotalBytes)
	}
}

func equalRows(a, b map[string]*Row) bool { return maps.EqualFunc(a, b, sameRow) }

func describe(rows map[string]*Row) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(&b, "\n  %s %+v", key, rows[key].Figures)
	}
	return b.String()
}

// TestSeriesAgainstTable checks that the points of a window add up to its row.
func TestSeriesAgainstTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	now := time.UnixMilli(1_800_000_000_000)
	s, err := New(Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3000 {
		s.Apply([]Event{randomEvent(rng, now.UnixMilli(), n)})
		if n%5 == 0 {
			now = now.Add(time.Duration(rng.IntN(4000)) * time.Millisecond)
			s.Tick()
		}
		if n%200 != 199 {
			continue
		}
		for w := range cell.NumWindows {
			q := Query{By: []Dim{ChainDim, ProviderDim}, Window: w}
			table := s.NewTable(q)
			table.Refresh()
			groups, step := s.Series(q, time.Second)
			if step.Milliseconds() != w.Tier().Seconds()*1000 {
				t.Fatalf("window %v has step %v", w, step)
			}
			if len(groups) != len(table.Rows()) {
				t.Fatalf("%d groups for %d rows", len(groups), len(table.Rows()))
			}
			for i, row := range table.Rows() {
				var calls, errs uint64
				for _, p := range groups[i].Points {
					calls += p.Calls
					errs += p.Errors
				}
				if groups[i].Key != row.Key || calls != row.Calls || errs != row.Errors {
					t.Fatalf("%v %s: points add up to %d calls, %d errors; the row has %d, %d", w, row.Key, calls, errs, row.Calls, row.Errors)
				}
			}
			histograms, _ := s.Histogram(q, time.Second)
			for i, row := range table.Rows() {
				var n, cut uint64
				for _, p := range histograms[i].Points {
					for _, b := range p.Buckets {
						n += b.Count
						cut += b.CutOff
					}
				}
				if n != row.Successes() || cut != row.CutOff {
					t.Fatalf("%v %s: %d latencies for %d successes, %d for %d that were cut off", w, row.Key, n, row.Successes(), cut, row.CutOff)
				}
			}
		}
	}
}
