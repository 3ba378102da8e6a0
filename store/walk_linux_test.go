package store

import (
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// BenchmarkHolds: for how long walks over 100,000 series, nearly all of which have changed,
// hold a shard. It is the time of the thread, so that work beside does not show.
func BenchmarkHolds(b *testing.B) {
	const series = 100_000
	var now atomic.Int64
	now.Store(1_800_000_000_000)
	s, err := New(Options{MaxSeries: 2 * series, Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	if err != nil {
		b.Fatal(err)
	}
	var events []Event
	body := make([]byte, 0, 1<<20)
	batches := workload(series, series*2/1000, 1000, now.Load())
	round := uint64(0)
	count := func() {
		for _, batch := range batches {
			round++
			s.Apply(arrive(&events, &body, batch, round, s.Now()))
		}
	}
	id := OriginID{s.Node(), s.Incarnation()}
	for _, walk := range []struct {
		name string
		do   func()
	}{
		{"tick", func() { s.Tick() }},
		{"counters", func() { s.Counters() }},
		{"settle", func() { // a new second, which is no walk
			for i := range s.shards {
				sh := &s.shards[i]
				sh.mu.Lock()
				sh.advance(now.Load()/1000 + 1)
				sh.mu.Unlock()
				s.holdEnded(sh)
			}
		}},
		{"changed", func() { s.Changed(id, s.Sequence()-1, AllTiers, func(*RowState) bool { return true }) }},
	} {
		b.Run(walk.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var holds []time.Duration
			total := time.Duration(0)
			for b.Loop() {
				b.StopTimer()
				now.Add(500)
				count()
				s.Revision()
				if walk.name == "changed" {
					s.Tick()
				}
				began := threadTime(b)
				taken := began
				s.holdEnded = func(*shard) {
					holds = append(holds, threadTime(b)-taken)
					taken = threadTime(b)
				}
				b.StartTimer()
				walk.do()
				b.StopTimer()
				s.holdEnded = nil
				total += threadTime(b) - began
				b.StartTimer()
			}
			slices.Sort(holds)
			micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
			b.ReportMetric(micros(total)/float64(b.N), "cpu-us/op")
			b.ReportMetric(micros(holds[len(holds)/2]), "p50-us")
			b.ReportMetric(micros(holds[len(holds)*99/100]), "p99-us")
			b.ReportMetric(micros(holds[len(holds)-1]), "max-us")
			b.ReportMetric(float64(len(holds))/float64(b.N), "holds/op")
		})
	}
}

// threadTime is the processor time of this thread, to the nanosecond.
func threadTime(b *testing.B) time.Duration {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID
	var t syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&t)), 0); err != 0 {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
