package store

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"remuda/store/cell"
	"remuda/store/presence"
)

// sighted is the slow twin of presence: a walk over all senders.
func (p *profile) sighted() map[string]int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	seen := make(map[string]int64)
	for name, s := range p.senders {
		seen[name] = s.LastSeen()
	}
	for key, s := range p.awaySenders {
		if s.LastSeenAt > 0 {
			seen[key.name] = max(seen[key.name], key.origin.Local(s.LastSeenAt))
		}
	}
	return seen
}

// TestPresence: whatever senders do, and clocks, the counts are those of a walk at every
// instant, and so is when each was last heard of.
func TestPresence(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			now := time.UnixMilli(1_800_000_000_000)
			s, err := New(Options{Node: "a", Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			runs := []OriginID{{"b", 1_799_999_000_000}, {"b", 1_799_999_000_001}, {"c", 1_799_999_000_000}}
			name := func() string { return "g" + strconv.Itoa(rng.IntN(40)) }
			stamp := uint64(0)
			var reported, silent int
			for range 3000 {
				switch n := rng.IntN(100); {
				case n < 30:
					e := Event{
						TS: now.UnixMilli(), Profile: "p", Chain: "c", ProviderID: "x", Method: "m", Strategy: "s", SourceNode: name(),
						SourceRegion: "r", Weight: 1,
					}
					s.Apply([]Event{e})
				case n < 35:
					s.NoteRefused([]Refused{{Profile: "p", Sender: name(), Region: "r", Events: 1, Fault: FaultOf("missing", "chain")}})
				case n < 55:
					stamp++
					d := Sender{Profile: "p", SourceNode: name(), Region: "r", RejectedAt: now.UnixMilli()}
					if rng.IntN(8) > 0 {
						d.LastSeenAt = now.UnixMilli() - rng.Int64N(120_000)
					}
					if err := s.MergeNotes(runs[rng.IntN(3)], &Notes{Senders: []Stamped[Sender]{{Stamp: stamp, Value: d}}}); err != nil {
						t.Fatal(err)
					}
				case n < 57:
					s.SetClock(runs[rng.IntN(3)], now.UnixMilli()+rng.Int64N(80_000)-40_000)
				case n < 58:
					s.Forget(runs[rng.IntN(3)])
				case n < 59:
					now = now.Add(time.Duration(rng.IntN(4000)) * time.Second)
				case n < 70:
					now = now.Add(time.Duration(rng.IntN(40_000)) * time.Millisecond)
				case n < 75:
					s.Tick()
				default:
					now = now.Add(time.Duration(rng.IntN(1500)) * time.Millisecond)
				}
				p := s.profiles["p"]
				if p == nil {
					continue
				}
				at := s.clock.now()
				var wantReporting, wantKnown int
				seen := p.sighted()
				for _, seen := range seen {
					if seen == 0 {
						continue
					}
					if wantKnown++; at-seen <= presence.Reporting {
						wantReporting++
					}
				}
				reporting, known := p.presence.Count(at, s.skews.Load())
				if reporting != wantReporting || known != wantKnown {
					t.Fatalf("%d of %d report, and not %d of %d", reporting, known, wantReporting, wantKnown)
				}
				reported, silent = reported+reporting, silent+known-reporting
				for i := range 41 {
					name := "g" + strconv.Itoa(i)
					if got := p.presence.LastSeen(name); got != seen[name] {
						t.Fatalf("%s was last heard of at %d, not %d", name, got, seen[name])
					}
				}
			}
			if reported == 0 || silent == 0 {
				t.Errorf("%d reported and %d were silent", reported, silent)
			}
		})
	}
}

// TestPresenceToTheMillisecond: a sender reports for a minute after its last event, to the
// millisecond, and again from the next on.
func TestPresenceToTheMillisecond(t *testing.T) {
	g := newGrown(t)
	g.decisions(1, func(int, *Event) {})
	want := func(reporting int) {
		t.Helper()
		if m := g.store.Meta(nil, cell.Window1m); m.SendersReporting != reporting || m.SendersKnown != 1 {
			t.Errorf("%d of %d report", m.SendersReporting, m.SendersKnown)
		}
	}
	g.now = g.now.Add(presence.Reporting * time.Millisecond)
	want(1)
	g.now = g.now.Add(time.Millisecond)
	want(0)
	g.decisions(1, func(int, *Event) {})
	want(1)
	g.now = g.now.Add(senderKnown*time.Millisecond + time.Second)
	if m := g.store.Meta(nil, cell.Window1m); m.SendersKnown != 0 {
		t.Errorf("%d are known after an hour", m.SendersKnown)
	}
}

// BenchmarkMeta is what every answer costs at least: it is not to grow with the senders.
func BenchmarkMeta(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("senders=%d", n), func(b *testing.B) {
			g := newGrown(b)
			g.decisions(n, func(i int, e *Event) { e.SourceNode = "g" + strconv.Itoa(i) })
			for b.Loop() {
				g.store.Meta(nil, cell.Window1m)
			}
		})
	}
}
