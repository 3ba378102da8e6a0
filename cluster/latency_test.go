package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkStateReads has two nodes count 8,000 events a second over 20,000 series,
// far more than gossip carries, so that ticks are long and each pulls from the other.
// It reports how long a read of the cluster's state takes meanwhile, and how long a
// message waits until the goroutine of the rules has taken it.
func BenchmarkStateReads(b *testing.B) {
	const series, perSecond = 20_000, 8_000
	nodes := testCluster(b, 2, testOptions{tick: 500 * time.Millisecond})
	for _, n := range nodes {
		n.count(series, series)
	}
	ctx, stop := context.WithCancel(context.Background())
	var writers, samplers sync.WaitGroup
	for _, n := range nodes {
		writers.Go(func() {
			beat := time.NewTicker(10 * time.Millisecond)
			defer beat.Stop()
			for {
				select {
				case <-beat.C:
					n.count(perSecond/100/len(nodes), series)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	defer func() {
		stop()
		writers.Wait()
	}()
	eventually(b, time.Minute, "each has what the other counted", func() bool {
		return nodes[0].calls() > 2*series && nodes[1].calls() > 2*series
	})
	sample := func(name string, every time.Duration, what func()) {
		samplers.Go(func() {
			var took []time.Duration
			beat := time.NewTicker(every)
			defer beat.Stop()
			for end := time.Now().Add(time.Duration(b.N) * 10 * time.Millisecond); time.Now().Before(end); <-beat.C {
				began := time.Now()
				what()
				for d := time.Since(began); d >= 0; d -= every { // who would have come meanwhile has waited too
					took = append(took, d)
				}
			}
			slices.Sort(took)
			for of, at := range map[string]float64{"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1} {
				b.ReportMetric(took[int(at*float64(len(took)-1))].Seconds()*1e6, fmt.Sprint(name, "-", of, "-µs"))
			}
		})
	}
	n := nodes[0]
	ignored := func() (value float64) {
		n.Figures(func(name, _ string, v float64) {
			if strings.HasSuffix(name, "ignored_total") {
				value = v
			}
		})
		return value
	}
	sample("read", time.Millisecond, func() { n.Reasons() })
	sample("loop", 7*time.Millisecond, func() {
		before := ignored()
		n.mail.put(nil)
		n.mail.wake()
		for ignored() == before {
			time.Sleep(50 * time.Microsecond)
		}
	})
	samplers.Wait()
}
