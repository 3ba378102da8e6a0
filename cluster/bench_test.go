package cluster

import (
	"bufio"
	"bytes"
	"fmt"
	"testing"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// BenchmarkState pulls the state of 10,000 series that were called once a second for
// an hour: written, compressed, read and merged by one goroutine. "newest" is what
// comes first, the cells of the last 80 s.
func BenchmarkState(b *testing.B) {
	const series = 10_000
	now := time.UnixMilli(simBase)
	newStore := func(name string) *store.Store {
		s, err := store.New(store.Options{Node: name, Incarnation: 1, DedupBytes: 1 << 20, Now: func() time.Time { return now }})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	from := newStore("a")
	id := store.OriginID{Node: "a", Incarnation: 1}
	events := make([]store.Event, series)
	for back := int64(3590); back >= 0; back-- {
		if back > 80 && back%10 > 0 { // ten at a time where steps of ten seconds are the finest kept
			continue
		}
		at := from.Now() - back*1000
		for i := range events {
			micros := uint64(20_000 + (i*7919+int(back)*104_729)%100_000)
			events[i] = store.Event{
				Sent: store.FieldTS, TS: at, SentTS: at, Profile: "default", Chain: fmt.Sprint("chain", i%7), Method: fmt.Sprint("method", i/100),
				Strategy: "fastest", ProviderID: fmt.Sprint("provider", i%100), SourceNode: "gw", SourceRegion: "r", Weight: 1,
				DurationMicros: micros, UpstreamMicros: micros, Result: failedIf((i+int(back))%40 == 0),
			}
			if back > 80 {
				events[i].Weight = 10
			}
		}
		from.Apply(events)
	}
	from.Tick()
	own := verified(id, 1, from.Digest(id))
	for _, newest := range []bool{true, false} {
		b.Run(map[bool]string{true: "newest", false: "all"}[newest], func(b *testing.B) {
			size := 0
			for b.Loop() {
				to := newStore("b")
				m := merger{store: to, id: id}
				in := wire.StateReader{
					Begin: func(s *wire.Status, wall int64) bool { to.SetClock(id, wall); return true },
					Merge: func(e *wire.Entries) bool { return m.merge(e, true).Whole },
				}
				var sent bytes.Buffer
				buffer := bufio.NewWriter(&sent)
				chunks := wire.NewChunkWriter(buffer, nil)
				take := wire.NewChunkReader(&sent, nil)
				out := wire.StateWriter{Source: from, Emit: func(chunk []byte) error {
					if err := chunks.Write(chunk); err != nil {
						return err
					}
					if err := buffer.Flush(); err != nil {
						return err
					}
					size += sent.Len()
					plain, err := take.Next()
					if err != nil {
						return err
					}
					return in.Take(plain)
				}}
				if newest {
					out.Source = newestOnly{from}
				}
				if err := out.Write(id, 0, from.Clock(), func() wire.Status { return own }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size)/float64(b.N), "bytes/op")
		})
	}
}

// newestOnly are the newest cells of a store.
type newestOnly struct{ *store.Store }

func (s newestOnly) Changed(id store.OriginID, after uint64, tiers store.Tiers, yield func(*store.RowState) bool) {
	if tiers == store.NewestTier {
		s.Store.Changed(id, after, tiers, yield)
	}
}
