package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"remuda/store/cell"
)

// TestWalksGiveAway: a walk over one shard's rows gives it away every so many, and all
// that it does it does once.
func TestWalksGiveAway(t *testing.T) {
	const rows = 1000
	g := &walked{grown: newGrown(t)}
	sh := g.inOneShard(rows)
	given := 0
	g.store.holdEnded = func(at *shard) {
		if at == sh {
			given++
		}
	}
	for name, walk := range map[string]func(){
		"tick":     func() { g.store.Tick() },
		"counters": func() { g.store.Counters() },
		"changed, nothing to tell": func() {
			g.store.Changed(g.self(), g.store.Sequence(), AllTiers, func(*RowState) bool { t.Error("told"); return true })
		},
	} {
		given = 0
		walk()
		if want := rows / rowsAHold; given < want || given > want+2 {
			t.Errorf("%s: given away %d times, want %d", name, given, want)
		}
	}
	told := 0
	g.store.Changed(g.self(), 0, AllTiers, func(*RowState) bool { told++; return true })
	if told != rows {
		t.Errorf("told of %d rows", told)
	}
}

// TestTickOfWhatComesMeanwhile: what is counted while a tick has given a shard away is of
// its sequence or the next, in rows that it has passed and in others, and also when rows
// go meanwhile and others take their places.
func TestTickOfWhatComesMeanwhile(t *testing.T) {
	for _, pause := range []time.Duration{0, 3 * time.Second, 2 * time.Hour} {
		g := &walked{grown: newGrown(t)}
		const rows = 600
		sh := g.inOneShard(rows)
		f := newMerger(t, g.store)
		applied, added := uint64(rows), 0
		var ended func(at *shard)
		ended = func(at *shard) {
			if at != sh || added >= 3 {
				return
			}
			added++
			g.store.holdEnded = nil
			defer func() { g.store.holdEnded = ended }()
			g.now = g.now.Add(pause)
			g.store.Revision() // settles, so that rows may go
			for i := range rows {
				if i%2 == 0 || pause > time.Hour {
					g.decide(i)
					applied++
				}
			}
			if c := total(g.store.Counters()); c != applied {
				t.Errorf("after %v: counters say %d of %d", pause, c, applied)
			}
		}
		g.store.holdEnded = ended
		for range 4 {
			sequence := g.store.Sequence()
			g.store.Tick()
			g.eachStamp(func(stamp uint64) {
				if stamp > sequence+1 {
					t.Errorf("stamp %d in sequence %d", stamp, sequence+1)
				}
			})
			f.follow()
			f.same(pause < time.Hour)
		}
		if added != 3 {
			t.Errorf("given away %d times", added)
		}
		if c := total(g.store.Counters()); c != applied {
			t.Errorf("after %v: counters say %d of %d", pause, c, applied)
		}
	}
}

// TestCountersOfWhatGoes: rows that go while they are added up, some of which were and
// some not yet, are in the counters once, then and from then on.
func TestCountersOfWhatGoes(t *testing.T) {
	for goes := 1; goes <= 4; goes++ {
		g := &walked{grown: newGrown(t)}
		const rows = 600
		sh := g.inOneShard(rows)
		applied, given := uint64(rows), 0
		g.store.Tick()
		g.store.holdEnded = func(at *shard) {
			if at != sh {
				return
			}
			if given++; given == goes {
				g.now = g.now.Add(2 * time.Hour)
				g.store.Revision()
				g.store.Tick() // does not collect while somebody reads
				g.decide(0)    // takes a slot of one that went
				g.decide(rows - 1)
				applied += 2
			}
		}
		first := total(g.store.Counters())
		if given <= goes || first < rows || first > applied {
			t.Errorf("gone at %d of %d: %d of %d calls", goes, given, first, applied)
		}
		g.store.holdEnded = nil
		for range 2 {
			if c := total(g.store.Counters()); c != applied {
				t.Errorf("gone at %d: then %d of %d calls", goes, c, applied)
			}
			g.store.Tick()
		}
	}
}

// TestWalksAmongWriters: with writers, ticks, a follower and readers of counters all at
// once, nothing is lost or counted twice, also when a clock makes rows come and go.
func TestWalksAmongWriters(t *testing.T) {
	for _, goes := range []bool{false, true} {
		walkAmongWriters(t, goes)
	}
}

func walkAmongWriters(t *testing.T, goes bool) {
	const writers, batches, size = 4, 150, 64
	var now atomic.Int64
	now.Store(1_800_000_000_000)
	s, err := New(Options{MaxSeries: 1 << 20, Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	f := newMerger(t, s)
	var wg, others sync.WaitGroup
	done := make(chan struct{})
	for n := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			events := make([]Event, size)
			for i := range batches {
				for j := range events {
					events[j] = Event{
						TS: s.Now() - rng.Int64N(3)*500, Profile: "default", Chain: "c", ProviderID: fmt.Sprint("p", rng.IntN(20)),
						Method: fmt.Sprint("m", rng.IntN(2000)), Strategy: "s", SourceNode: "n", SourceRegion: "r", Weight: 1,
						DurationMicros: 5, UpstreamMicros: uint64(1 + rng.IntN(1_000_000)),
					}
				}
				s.Apply(events)
				switch {
				case goes && i%50 == 49:
					now.Add(4_000_000) // all that was goes
				case i%5 == 0:
					now.Add(700)
				}
			}
		})
	}
	until := func(do func()) {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					do()
				}
			}
		})
	}
	until(func() { s.Tick(); f.follow() })
	last := make(map[string]uint64)
	until(func() {
		for _, c := range s.Counters() {
			if c.Calls < last[c.ProviderID] {
				t.Errorf("%s went back from %d to %d", c.ProviderID, last[c.ProviderID], c.Calls)
			}
			last[c.ProviderID] = c.Calls
		}
	})
	wg.Wait()
	close(done)
	others.Wait()
	now.Add(2000) // a row of which only the lifetime was told stays for a second
	s.Tick()
	f.follow()
	f.same(!goes)
	if c := total(s.Counters()); c != writers*batches*size {
		t.Errorf("counters say %d of %d", c, writers*batches*size)
	}
}

// A merger is another node, which takes over what changed after each tick.
type merger struct {
	t        *testing.T
	of, to   *Store
	sequence uint64
}

func newMerger(t *testing.T, of *Store) *merger {
	to, err := New(Options{Node: "follower", MaxSeries: 1 << 20, Now: of.options.Now})
	if err != nil {
		t.Fatal(err)
	}
	return &merger{t: t, of: of, to: to}
}

func (f *merger) id() OriginID { return OriginID{f.of.Node(), f.of.Incarnation()} }

func (f *merger) follow() {
	to := f.of.Sequence()
	f.of.Changed(f.id(), f.sequence, AllTiers, func(s *RowState) bool {
		if err := f.to.Merge(f.id(), s); err != nil {
			f.t.Error(err)
		}
		return true
	})
	f.sequence = to
}

// same wants both to hold the same, and digests to say so unless rows went before anybody
// was told of them.
func (f *merger) same(digests bool) {
	f.t.Helper()
	if own, theirs := f.of.Digest(f.id()), f.to.Digest(f.id()); digests && own != theirs {
		f.t.Errorf("digest %x, the follower has %x", own, theirs)
	}
	own, theirs := lifetimes(f.of, f.id()), lifetimes(f.to, f.id())
	if !maps.Equal(own, theirs) {
		f.t.Errorf("%d rows, the follower has %d others", len(own), len(theirs))
	}
}

func lifetimes(s *Store, id OriginID) map[string]cell.Lifetime {
	all := make(map[string]cell.Lifetime)
	s.Changed(id, 0, AllTiers, func(r *RowState) bool { all[r.Key] = r.Lifetime; return true })
	return all
}

func total(rows []CounterRow) (calls uint64) {
	for i := range rows {
		calls += rows[i].Calls
	}
	return calls
}

func (g *walked) self() OriginID { return OriginID{g.store.Node(), g.store.Incarnation()} }

// walked is a store with many rows in one shard.
type walked struct {
	*grown
	methods []string
}

// inOneShard counts a call in each of so many rows of one shard, which decide counts more in.
func (g *walked) inOneShard(rows int) *shard {
	for i := 0; len(g.methods) < rows; i++ {
		e := Event{Profile: "default", Chain: "base", Method: fmt.Sprint("m", i), Strategy: "s", SourceRegion: "r"}
		if shardOf(g.store.hash(string(appendKey(nil, &e, "p", HTTP)))) == 5 {
			g.methods = append(g.methods, e.Method)
			g.decide(len(g.methods) - 1)
		}
	}
	return &g.store.shards[5]
}

func (g *walked) decide(i int) {
	g.decisions(1, func(_ int, e *Event) { e.Method = g.methods[i] })
}

func (g *walked) eachStamp(do func(stamp uint64)) {
	g.store.Changed(g.self(), 0, AllTiers, func(r *RowState) bool {
		do(r.Stamp)
		for i := range r.Cells {
			do(r.Cells[i].Stamp)
		}
		return true
	})
}
