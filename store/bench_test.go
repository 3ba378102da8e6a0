package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"remuda/store/cell"
)

// workload makes batches of decisions spread over a number of series, with
// log-normal latencies, 3 % errors and distinct request ids.
func workload(seriesCount, batches, size int, at int64) [][]Event {
	rng := rand.New(rand.NewPCG(1, 2))
	type dims struct{ chain, provider, method, region string }
	var all []dims
	for i := 0; len(all) < seriesCount; i++ {
		all = append(all, dims{
			fmt.Sprintf("chain_%d", i%3), fmt.Sprintf("provider_%d", i/3%max(10, seriesCount/60)),
			fmt.Sprintf("eth_method%d", i/3/max(10, seriesCount/60)), fmt.Sprintf("us-east-%d", i%2),
		})
	}
	out := make([][]Event, batches)
	n := 0
	for b := range out {
		out[b] = make([]Event, size)
		for i := range out[b] {
			d := all[rng.IntN(len(all))]
			n++
			micros := uint64(45_000 * math.Exp(0.6*rng.NormFloat64()))
			e := Event{
				Sent: FieldRequestID | FieldTS, TS: at, SentTS: at, Profile: "default", Chain: d.chain, ProviderID: d.provider,
				Method: d.method, Strategy: "fastest", SourceNode: "lasso@iad", SourceRegion: d.region,
				RequestID: fmt.Sprintf("req_%032x", rng.Uint64()), Weight: 1, DurationMicros: micros, UpstreamMicros: micros,
			}
			if rng.IntN(100) < 3 {
				e.Result, e.ErrorCategory = cell.Failure, "timeout"
			}
			out[b][i] = e
		}
	}
	return out
}

// renew gives every event of a batch an identity that has not been seen: what a
// decoder would have done by decoding another body.
func renew(events []Event, n uint64, ts int64) {
	for i := range events {
		events[i].Other = n<<20 | uint64(i)
		events[i].TS, events[i].SentTS = ts, ts
	}
}

// arrive copies a batch as a decoder leaves it: new, in memory that it has just
// written, with strings that point into one body.
func arrive(into *[]Event, body *[]byte, batch []Event, n uint64, ts int64) []Event {
	*into = append((*into)[:0], batch...)
	*body = (*body)[:0]
	for i := range *into {
		e := &(*into)[i]
		for _, s := range [...]*string{&e.Profile, &e.Chain, &e.ProviderID, &e.SourceNode, &e.SourceRegion, &e.Method, &e.Strategy, &e.RequestID, &e.ErrorCategory} {
			at := len(*body)
			*body = append(*body, *s...)
			*s = unsafe.String(unsafe.SliceData((*body)[at:]), len(*s))
		}
	}
	renew(*into, n, ts)
	return *into
}

func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1, 600, 10_000, 100_000} {
		b.Run(fmt.Sprintf("series=%d", n), func(b *testing.B) {
			s, err := New(Options{})
			if err != nil {
				b.Fatal(err)
			}
			batches := workload(n, max(1, n/1000), 1000, s.Now())
			var events []Event
			body := make([]byte, 0, 1<<20)
			round := uint64(0)
			apply := func() {
				b.StopTimer()
				batch := arrive(&events, &body, batches[round%uint64(len(batches))], round, s.Now())
				round++
				b.StartTimer()
				s.Apply(batch)
			}
			for range batches {
				apply()
			}
			for s.Usage().DedupBytes < 64<<20 { // it is as large as it gets in use
				apply()
			}
			b.ReportAllocs()
			b.ResetTimer()
			next := time.Now().Add(500 * time.Millisecond)
			for i := 0; i < b.N; i += 1000 {
				apply()
				if now := time.Now(); now.After(next) {
					s.Tick()
					next = now.Add(500 * time.Millisecond)
				}
			}
			b.StopTimer()
			b.ReportMetric(s.Usage().DedupPeriod.Seconds(), "dedup-s")
		})
	}
}

func BenchmarkApplyParallel(b *testing.B) {
	for _, n := range []int{1, 600} {
		b.Run(fmt.Sprintf("series=%d", n), func(b *testing.B) {
			s, err := New(Options{})
			if err != nil {
				b.Fatal(err)
			}
			var worker, left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				id := uint64(worker.Add(1))
				batches := workload(n, 8, 1000, s.Now())
				i := uint64(0)
				for pb.Next() {
					// One iteration of pb is one event; a batch is applied every thousandth.
					if i++; i%1000 != 0 {
						continue
					}
					batch := batches[i/1000%8]
					renew(batch, id<<40|i, s.Now())
					s.Apply(batch)
				}
			})
		})
	}
}

func BenchmarkTableRefresh(b *testing.B) {
	for _, n := range []int{600, 10_000, 100_000} {
		b.Run(fmt.Sprintf("series=%d", n), func(b *testing.B) {
			s, err := New(Options{MaxSeries: 200_000})
			if err != nil {
				b.Fatal(err)
			}
			batches := workload(n, max(8, n/250), 1000, s.Now())
			for i, batch := range batches {
				renew(batch, uint64(i)+1<<40, s.Now())
				s.Apply(batch)
			}
			s.Tick()
			t := s.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window1m, Providers: true})
			t.Refresh()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				b.StopTimer()
				for j, batch := range batches[:min(len(batches), max(1, n/250))] { // all series change
					renew(batch, uint64(i)<<32|uint64(j), s.Now())
					s.Apply(batch)
				}
				s.Tick()
				b.StartTimer()
				changed, _ := t.Refresh()
				if len(changed) == 0 {
					b.Fatal("nothing changed")
				}
			}
		})
	}
}

// BenchmarkTableFirst makes a table and its first rows, as a REST answer does.
func BenchmarkTableFirst(b *testing.B) {
	for _, n := range []int{600, 10_000} {
		b.Run(fmt.Sprintf("series=%d", n), func(b *testing.B) {
			s, err := New(Options{MaxSeries: 200_000})
			if err != nil {
				b.Fatal(err)
			}
			for i, batch := range workload(n, max(8, n/250), 1000, s.Now()) {
				renew(batch, uint64(i)+1<<40, s.Now())
				s.Apply(batch)
			}
			s.Tick()
			b.ReportAllocs()
			for b.Loop() {
				t := s.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window1m, Providers: true})
				if changed, _ := t.Refresh(); len(changed) == 0 {
					b.Fatal("no rows")
				}
			}
		})
	}
}

// BenchmarkMemory lives through an hour and more of traffic and reports the bytes
// of heap per series with all windows kept, and with the default window read.
func BenchmarkMemory(b *testing.B) {
	for _, c := range []struct{ series, perSecond int }{{1000, 1}, {200, 35}} {
		b.Run(fmt.Sprintf("events-per-second=%d", c.perSecond), func(b *testing.B) {
			for range b.N {
				runtime.GC()
				var before, after, read runtime.MemStats
				runtime.ReadMemStats(&before)
				now := time.UnixMilli(1_800_000_000_000)
				s, err := New(Options{DedupBytes: 1, Now: func() time.Time { return now }})
				if err != nil {
					b.Fatal(err)
				}
				rng := rand.New(rand.NewPCG(1, 1))
				batch := make([]Event, 0, c.series*c.perSecond)
				for range 3700 {
					batch = batch[:0]
					for i := range c.series * c.perSecond {
						micros := uint64(45_000 * math.Exp(0.6*rng.NormFloat64()))
						e := Event{
							TS: now.UnixMilli(), Profile: "default", Chain: "ethereum", ProviderID: providerNames[i%c.series], Method: "eth_call",
							Strategy: "fastest", SourceNode: "gw", SourceRegion: "us-east-1", Weight: 1, DurationMicros: micros, UpstreamMicros: micros,
						}
						if rng.IntN(100) < 3 {
							e.Result, e.ErrorCategory = cell.Failure, "timeout"
						}
						batch = append(batch, e)
					}
					s.Apply(batch)
					now = now.Add(500 * time.Millisecond)
					s.Tick()
					now = now.Add(500 * time.Millisecond)
					s.Tick()
				}
				batch = nil
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(c.series), "B/series")
				t := s.NewTable(Query{By: []Dim{ChainDim}, Window: cell.Window1m})
				t.Refresh()
				runtime.GC()
				runtime.ReadMemStats(&read)
				b.ReportMetric(float64(read.HeapAlloc-before.HeapAlloc)/float64(c.series), "B/series-read")
				runtime.KeepAlive(s)
				runtime.KeepAlive(t)
			}
		})
	}
}

var providerNames = func() []string {
	list := make([]string, 1000)
	for i := range list {
		list[i] = fmt.Sprintf("provider_%d", i)
	}
	return list
}()

// BenchmarkMerge merges what 600 series with some 7 events a tick tell another node,
// tick by tick: a state an operation, of one or two cells of a second, and now and then
// of a sum.
func BenchmarkMerge(b *testing.B) {
	const series, ticks = 600, 120
	now := time.UnixMilli(1_800_000_000_000)
	clock := func() time.Time { return now }
	from, err := New(Options{Node: "a", Now: clock, DedupBytes: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	id := OriginID{"a", from.Incarnation()}
	type told struct {
		at    time.Time
		state RowState
	}
	var states []told
	buckets, before := 0, uint64(0)
	batches := workload(series, 8, 7*series, now.UnixMilli())
	for n := range ticks {
		batch := batches[n%len(batches)]
		renew(batch, uint64(n), now.UnixMilli())
		from.Apply(batch)
		now = now.Add(500 * time.Millisecond)
		from.Tick()
		from.Changed(id, before, AllTiers, func(s *RowState) bool {
			kept := recorded(s)
			states = append(states, told{now, kept})
			for _, c := range kept.Cells {
				var content cell.Cell
				if err := content.Unpack(c.Packed, from.categories); err != nil {
					b.Fatal(err)
				}
				buckets += len(content.Buckets())
			}
			return true
		})
		before = from.Sequence()
	}
	var to *Store
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(states) == 0 {
			b.StopTimer()
			if to, err = New(Options{Node: "b", Now: clock, DedupBytes: 1 << 20}); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		s := &states[i%len(states)]
		now = s.at
		if err := to.Merge(id, &s.state); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(buckets)/float64(len(states)), "buckets/op")
}
