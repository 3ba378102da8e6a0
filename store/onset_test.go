package store

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"remuda/store/cell"
)

// TestOnset: what is told step by step is what the sums of the steps tell.
func TestOnset(t *testing.T) {
	g := newGrown(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for minute := range 70 {
		for range 12 {
			g.now = g.now.Add(5 * time.Second)
			g.store.Tick()
		}
		for p := range 6 {
			for range rng.IntN(30) {
				e := Event{
					TS: g.now.UnixMilli() - rng.Int64N(50_000), Profile: "default", Chain: "base", ProviderID: "p" + strconv.Itoa(p),
					Method: "m" + strconv.Itoa(rng.IntN(3)), Strategy: "s", SourceNode: "g", SourceRegion: "r" + strconv.Itoa(rng.IntN(3)),
					Weight: 1 + rng.Uint32N(9), DurationMicros: 5000, UpstreamMicros: 5000,
				}
				if minute > 10*p {
					switch rng.IntN(4) {
					case 0:
						e.Failed, e.ErrorCategory = true, "timeout"
					case 1:
						e.Failed, e.ErrorCategory = true, "rate_limit"
					case 2:
						e.UpstreamMicros, e.DurationMicros = 3_000_000, 3_000_000
					}
				}
				if r := g.store.Apply([]Event{e}); r.Accepted != 1 {
					t.Fatal(r)
				}
			}
		}
	}
	a := g.store.NewAttention(Filter{}, cell.Window1h)
	a.Refresh()
	found := 0
	for _, status := range []Status{StatusRateLimited, StatusFailing, StatusDegraded} {
		for key, group := range a.table.groups {
			got, want := a.onset(group, status, g.store.Clock()), onsetOfSums(a, key, status)
			if got != want {
				t.Errorf("%s is %v since %d, and by the sums since %d", key, status, got, want)
			}
			if got > 0 {
				found++
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d have an onset", found)
	}
}

// onsetOfSums is the slow twin of onset: it sums all steps of all providers first.
func onsetOfSums(a *Attention, wanted string, status Status) (at int64) {
	for _, w := range []cell.Window{cell.Window1m, cell.Window15m, cell.Window1h} {
		q := a.query
		q.Window = w
		var first int64
		a.store.eachSpread(q, time.Second, func(key string, _ [NumDims]string, p *spread) int64 {
			if key != wanted {
				return 0
			}
			first, at = p.first, 0
			var sum, most float64
			for i := len(p.cells) - 1; i >= 0; i-- {
				c := &p.cells[i]
				limited := uint64(0)
				for _, k := range c.ErrorCategories(a.store.categories) {
					if k.Category == "rate_limit" {
						limited = k.Count
					}
				}
				e := evidence{c.Calls, c.Errors, c.ProviderErrors, limited, c.SlowerThan(degradedP95)}
				if sum += e.excess(status); sum > most {
					most, at = sum, p.first+int64(i)*p.step
				}
			}
			return 0
		})
		if at != first {
			return at
		}
	}
	return at
}

// TestOnsetsInTurns: very many alarms at once are dated by several refreshes, each of
// which looks through a share of what there is, and from then on they stay.
func TestOnsetsInTurns(t *testing.T) {
	const n = 1000
	g := newGrown(t)
	g.decisions(n, func(i int, e *Event) {
		e.ProviderID, e.Failed, e.ErrorCategory, e.Weight = "p"+strconv.Itoa(i), true, "timeout", 30
	})
	began := g.now.UnixMilli() / 1000 * 1000
	g.now = g.now.Add(20 * time.Second)
	g.store.Tick()
	for look := 1; look <= onsetShare+1; look++ {
		dated := 0
		_, list := g.store.NewAttention(Filter{}, cell.Window1m).Refresh()
		for i := range list {
			if alarm := &list[i]; alarm.Subject == "provider" && alarm.SinceAt == began {
				dated++
			}
		}
		if want := min(look*n/onsetShare, n); dated != want {
			t.Errorf("look %d: %d of %d are dated, not %d", look, dated, n, want)
		}
	}
}

// TestEpisodes: since when an alarm is there is known for as long as somebody looks, and
// beyond the cap it is always new.
func TestEpisodes(t *testing.T) {
	var e episodes
	now := int64(1_800_000_000_000)
	since := func(key string) int64 {
		at, _ := e.see(key, now, true)
		return at
	}
	began := now
	since("a")
	for range 100 {
		now += episodeKept
		if at := since("a"); at != began {
			t.Fatalf("looked at every minute, and since %d", at-began)
		}
	}
	now += episodeKept + 1
	if at := since("a"); at != now {
		t.Errorf("not looked at for longer, and since %d", at-now)
	}
	if _, settled := e.see("b", now, false); settled {
		t.Error("calls have not told yet")
	}
	if e.settle("b", now-5); since("b") != now-5 {
		t.Error("what calls told is lost")
	}
	for i := range maxEpisodes {
		e.see("more "+strconv.Itoa(i), now, true)
	}
	if len(e.known)+len(e.before) != maxEpisodes {
		t.Errorf("%d are kept", len(e.known)+len(e.before))
	}
	now++
	if last := "more " + strconv.Itoa(maxEpisodes-1); since(last) != now || since("a") != now-1 {
		t.Error("there was no room for the last, and the first is to stay")
	}
	now += 2*episodeKept + 2
	since("a")
	now += episodeKept + 1
	if since("c"); len(e.known)+len(e.before) > 2 {
		t.Errorf("%d are kept that nobody looks at", len(e.known)+len(e.before))
	}
}
