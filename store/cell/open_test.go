package cell

import (
	"slices"
	"testing"

	"remuda/store/internal/leaf"
)

// distinct are calls that make every figure another.
func distinct(names *Categories) []Call {
	list := []Call{
		{Micros: 1000, Weight: 1000, Failovers: 3, Final: true},
		{Micros: 1000, Weight: 20, Final: true, Result: Failure, ProviderFault: true, Category: names.ID("network_error")},
		{Micros: 3000, Weight: 7, Final: true, Result: Failure, Category: names.ID("rate_limit")},
		{Micros: 500, Weight: 100, Result: Failure, ProviderFault: true, Category: names.ID("network_error")},
		{Micros: 4000, Weight: 1, Final: true},
		{Micros: 9000, Weight: 300, Result: Cancelled, Hedge: true},
		{Micros: 200, Weight: 50, Final: true, Result: Cancelled},
		{Weight: 2000, Result: NotSent, Hedge: true},
		{Micros: 1000, Weight: 40, Final: true, Hedge: true},
	}
	for i := range list {
		list[i].Bucket = uint16(BucketOf(list[i].Micros))
	}
	return list
}

// TestOpen: what calls add to each figure, and what is news of it.
func TestOpen(t *testing.T) {
	names := NewCategories()
	want := Counts{
		Calls: 1518, Errors: 127, ProviderErrors: 120, Requests: 1118, RequestErrors: 27, Failovers: 3000, Samples: 8,
		CutOff: 350, NotSent: 2000, Hedges: 340, HedgeWins: 40,
	}
	for _, l := range leaf.All(&want) {
		if l.IsZero() {
			t.Errorf("%s is not counted", l.Path)
		}
	}
	var o Open
	var lifetime Sums
	for i, k := range distinct(names) {
		if i%2 == 0 {
			o.Add(&k)
		} else {
			o.AddTold(&k)
			lifetime.count(&k)
		}
	}
	for range 2 { // later there is no news
		if o.News(&lifetime); lifetime.Counts != want || lifetime.LatencySum() != 1_044_000 {
			t.Errorf("the lifetime is %+v, want %+v", lifetime, want)
		}
		o.Adopt()
	}
	c := o.Flush()
	if c.Counts != want || c.min != 1000 || c.max != 4000 || c.failedMin != 500 || c.failedMax != 3000 {
		t.Errorf("the cell is %+v", c)
	}
	if got := c.Buckets(); len(got) != 4 || got[1].Count != 1040 || got[2].Count != 1 || got[1].UpperMicros < 1000 || got[1].LowerMicros >= 1000 ||
		got[0].CutOff != 50 || got[3].CutOff != 300 || got[3].Count+got[1].CutOff > 0 {
		t.Errorf("the buckets are %+v", got)
	}
	if c.RateLimited() != 7 || c.SlowerThan(2000) != 1 || c.SlowerThan(500) != 1041 {
		t.Errorf("%d ran into a limit, %d took longer than 2 ms", c.RateLimited(), c.SlowerThan(2000))
	}
	if o.Clear(); !o.Empty() || o.Flush().SlowerThan(0) > 0 {
		t.Errorf("cleared, it is %+v", o)
	}
	lifetime = Sums{}
	if o.News(&lifetime); lifetime != (Sums{}) {
		t.Errorf("the news of an empty cell are %+v", lifetime)
	}
}

// TestPending: an open cell holds the same however many of its calls were read in between.
func TestPending(t *testing.T) {
	var once, often Open
	for i := range 10 * roomPending {
		k := Call{Micros: uint64(i * i), Weight: 1, Bucket: uint16(BucketOf(uint64(i * i)))}
		once.Add(&k)
		often.Add(&k)
		if i%3 == 0 {
			often.Flush()
		}
	}
	names := NewCategories()
	a, b := once.Flush().AppendPacked(nil, names), often.Flush().AppendPacked(nil, names)
	if !slices.Equal(a, b) {
		t.Errorf("%x, not %x", b, a)
	}
}

// TestLatencies: none without calls of their kind, and those of a few calls.
func TestLatencies(t *testing.T) {
	names := NewCategories()
	none := Latencies{Avg: None, P50: None, P90: None, P95: None, P99: None, Max: None, Mean: None, FailureP95: None}
	if got := new(Cell).Latencies(); got != none {
		t.Errorf("an empty cell has %+v", got)
	}
	var successes, failures Open
	for _, k := range distinct(names) {
		switch k.Result {
		case Success:
			successes.Add(&k)
		case Failure:
			failures.Add(&k)
		}
	}
	// 1000 calls of 1000 µs, whose bucket reaches from 998 to 1019, and one of 4000.
	want := none
	want.Avg, want.P50, want.P90, want.P95, want.P99, want.Max, want.Mean = 1003, 1009, 1009, 1009, 1009, 4000, 1003
	if got := successes.Flush().Latencies(); got != want {
		t.Errorf("the successes have %+v, want %+v", got, want)
	}
	// 100 of 500 µs, 20 of 1000 and 7 of 3000: the 121st of 127 is one of the last.
	if got := failures.Flush().Latencies(); got.FailureP95 < 2970 || got.FailureP95 > 3000 {
		t.Errorf("the failures have %+v", got)
	} else if got.FailureP95 = None; got != none {
		t.Errorf("the failures have %+v", got)
	}
	categories := []CategoryCount{{"network_error", 120}, {"rate_limit", 7}} // whose ids are the other way round
	if got := failures.Flush().ErrorCategories(names); !slices.Equal(got, categories) {
		t.Errorf("the errors are %v, want %v", got, categories)
	}
	if got := successes.Flush().ErrorCategories(names); got != nil {
		t.Errorf("the errors of successes are %v", got)
	}
}
