package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/puzpuzpuz/xsync/v4"

	"remuda/store"
	"remuda/store/cell"
)

const (
	countedSeries = 600
	countedBatch  = 1000
)

// events makes a batch of decisions over 600 series.
func events(rng *rand.Rand, at int64) []store.Event {
	list := make([]store.Event, countedBatch)
	for i := range list {
		k := rng.IntN(countedSeries)
		micros := uint64(20_000 + rng.IntN(100_000))
		list[i] = store.Event{
			Sent: store.FieldRequestID | store.FieldTS, TS: at, SentTS: at, Profile: "default", Chain: "chain_" + strconv.Itoa(k%3),
			ProviderID: "provider_" + strconv.Itoa(k/3%10), Method: "eth_method" + strconv.Itoa(k/30%10), Strategy: "fastest",
			SourceNode: "lasso@iad", SourceRegion: "us-east-" + strconv.Itoa(k/300), RequestID: fmt.Sprintf("req_%032x", rng.Uint64()),
			Weight: 1, DurationMicros: micros, UpstreamMicros: micros, Result: cell.Result(min(1, max(0, 3-rng.IntN(100)))), // 3 % fail
		}
		if list[i].Result == cell.Failure {
			list[i].ErrorCategory = "timeout"
		}
	}
	return list
}

// perEvent runs count for batches in some goroutines and returns ns for each event.
func perEvent(goroutines int, batch func(worker int) func(n int)) float64 {
	result := testing.Benchmark(func(b *testing.B) {
		runtime.GC()
		var workers atomic.Int64
		b.SetParallelism(1)
		previous := runtime.GOMAXPROCS(goroutines)
		defer runtime.GOMAXPROCS(previous)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			count := batch(int(workers.Add(1)))
			for more := true; more; {
				n := 0
				for ; n < countedBatch; n++ {
					if more = pb.Next(); !more {
						break
					}
				}
				count(n)
			}
		})
	})
	return float64(result.T.Nanoseconds()) / float64(result.N)
}

// compareCounting counts decoded events in memory. The store also deduplicates,
// keeps windows of three steps and a mergeable distribution of each; the others
// keep a counter and a histogram, or three counters.
func compareCounting() error {
	both := func(batch func() func(worker int) func(n int)) func() ([]float64, error) {
		return func() ([]float64, error) { return []float64{perEvent(1, batch()), perEvent(2, batch())}, nil }
	}
	return compare("Counting an event of 600 series, in process", []string{"ns, 1 goroutine", "ns, 2 goroutines"}, []contestant{
		{"remuda store, dedup on", both(func() func(int) func(int) {
			s, err := store.New(store.Options{})
			if err != nil {
				panic(err) // the zero options are good
			}
			var serial atomic.Uint64
			return func(worker int) func(int) {
				list := events(rand.New(rand.NewPCG(1, uint64(worker))), s.Now())
				return func(n int) {
					now, number := s.Now(), serial.Add(1)
					for i := range list[:n] {
						list[i].Other = number<<20 | uint64(i)
						list[i].TS, list[i].SentTS = now, now
					}
					s.Apply(list[:n])
				}
			}
		})},
		{"client_golang, CounterVec and HistogramVec, 5 labels", both(func() func(int) func(int) {
			labels := []string{"chain", "provider", "method", "region", "transport"}
			counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls"}, labels)
			histogram := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "latency"}, labels)
			return func(worker int) func(int) {
				list := events(rand.New(rand.NewPCG(1, uint64(worker))), 0)
				return func(n int) {
					for i := range list[:n] {
						e := &list[i]
						counter.WithLabelValues(e.Chain, e.ProviderID, e.Method, e.SourceRegion, "http").Inc()
						histogram.WithLabelValues(e.Chain, e.ProviderID, e.Method, e.SourceRegion, "http").Observe(float64(e.UpstreamMicros) / 1e6)
					}
				}
			}
		})},
		{"xsync map of atomic counters, 4 strings as key", both(func() func(int) func(int) {
			type key struct{ chain, provider, method, region string }
			type counters struct{ calls, errors, micros atomic.Uint64 }
			m := xsync.NewMap[key, *counters]()
			return func(worker int) func(int) {
				list := events(rand.New(rand.NewPCG(1, uint64(worker))), 0)
				return func(n int) {
					for i := range list[:n] {
						e := &list[i]
						c, _ := m.LoadOrCompute(key{e.Chain, e.ProviderID, e.Method, e.SourceRegion}, func() (*counters, bool) { return new(counters), false })
						c.calls.Add(1)
						c.micros.Add(e.UpstreamMicros)
						if e.Result == cell.Failure {
							c.errors.Add(1)
						}
					}
				}
			}
		})},
	})
}
