package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"remuda/store/cell"
)

// recorded is a state that may be kept.
func recorded(state *RowState) RowState {
	kept := *state
	kept.Cells = make([]CellState, len(state.Cells))
	for i, c := range state.Cells {
		kept.Cells[i] = c
		kept.Cells[i].Packed = append([]byte(nil), c.Packed...)
	}
	return kept
}

// TestMergeInAnyOrder has a node write for some minutes and collects the state
// of every tick. Two others merge all of it, each in an order of its own, with
// repetitions; a third gets nothing but the last full state. After that all have
// the same digest and the same rows in every window.
func TestMergeInAnyOrder(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			now := time.UnixMilli(1_800_000_000_000)
			clock := func() time.Time { return now }
			node := func(name string) *Store {
				s, err := New(Options{Node: name, Now: clock})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			a := node("a")
			id := OriginID{"a", a.Incarnation()}
			var states []RowState
			before := uint64(0)
			for n := range 240 {
				events := make([]Event, rng.IntN(12))
				for i := range events {
					events[i] = randomEvent(rng, now.UnixMilli(), n*100+i)
				}
				a.Apply(events)
				now = now.Add(500 * time.Millisecond)
				a.Tick()
				a.Changed(id, before, AllTiers, func(s *RowState) bool {
					states = append(states, recorded(s))
					return true
				})
				before = a.Sequence()
			}
			a.Tick()
			var full []RowState
			a.Changed(id, 0, AllTiers, func(s *RowState) bool {
				full = append(full, recorded(s))
				return true
			})

			peers := []*Store{node("b"), node("c"), node("d")}
			peers[0].NewTable(Query{By: []Dim{ChainDim}, Window: cell.Window5m}).Refresh()
			for i, list := range [][]RowState{append(states, full...), append(states, states...), full} {
				list = append([]RowState(nil), list...)
				if i == 1 {
					list = append(list, full...)
				}
				rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				for j := range list {
					if err := peers[i].Merge(id, &list[j]); err != nil {
						t.Fatal(err)
					}
					if j%50 == 0 { // keep window totals, so that merging has to maintain them
						for w := range cell.NumWindows {
							peers[i].NewTable(Query{By: []Dim{ChainDim}, Window: w}).Refresh()
						}
					}
				}
			}
			check := func(when string) {
				t.Helper()
				for w := range cell.NumWindows {
					q := Query{By: []Dim{ChainDim, ProviderDim, MethodDim}, Window: w}
					want := a.NewTable(q)
					want.Refresh()
					for _, p := range peers {
						got := p.NewTable(q)
						got.Refresh()
						if len(got.Rows()) != len(want.Rows()) {
							t.Fatalf("%s, %v: %s has %d rows, want %d", when, w, p.Node(), len(got.Rows()), len(want.Rows()))
						}
						for i, row := range got.Rows() {
							x, y := *row, *want.Rows()[i]
							x.LastSeenAt, y.LastSeenAt = 0, 0 // a peer knows it to the step
							if !sameRow(&x, &y) {
								t.Fatalf("%s, %v, %s:\n got %+v\nwant %+v", when, w, p.Node(), x, y)
							}
						}
					}
				}
			}
			for _, p := range peers {
				if p.Digest(id) != a.Digest(id) {
					t.Errorf("%s has digest %x, want %x", p.Node(), p.Digest(id), a.Digest(id))
				}
			}
			check("after merging")
			now = now.Add(200 * time.Second)
			for _, s := range append(peers, a) {
				s.Tick()
			}
			check("after 200 s")
		})
	}
}

// TestMergeRefusesNonsense feeds damaged states and wants errors, not numbers.
func TestMergeRefusesNonsense(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, err := New(Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	key := string(appendKey(nil, &Event{Profile: "p", Chain: "c", Method: "m", Strategy: "s", SourceRegion: "r"}, "x", HTTP))
	var one cell.Open
	one.Add(&cell.Call{Micros: 1000, Weight: 1, Final: true})
	packed := one.Flush().AppendPacked(nil, s.categories)
	cellAt := func(packed []byte) []CellState {
		return []CellState{{Tier: 0, Step: now.Unix(), Stamp: 1, Packed: packed}}
	}
	peer := OriginID{"other", 1}
	for name, state := range map[string]RowState{
		"no key":           {Key: "", Cells: cellAt(packed)},
		"empty id":         {Key: "p\x00\x00x\x00m\x00s\x00r\x00\x00\x00", Cells: cellAt(packed)},
		"unknown enum":     {Key: key[:len(key)-1] + "\x07", Cells: cellAt(packed)},
		"no such tier":     {Key: key, Cells: []CellState{{Tier: 3, Step: now.Unix(), Stamp: 1, Packed: packed}}},
		"no stamp":         {Key: key, Cells: []CellState{{Tier: 0, Step: now.Unix(), Packed: packed}}},
		"empty cell":       {Key: key, Cells: cellAt(nil)},
		"cut cell":         {Key: key, Cells: cellAt(packed[:len(packed)-1])},
		"more than a cell": {Key: key, Cells: cellAt(append(packed[:len(packed):len(packed)], 0))},
	} {
		state.Born, state.Stamp = 1, 1
		if err := s.Merge(peer, &state); err == nil {
			t.Errorf("%s: merged", name)
		}
	}
	if err := s.Merge(OriginID{s.Node(), s.Incarnation()}, &RowState{Key: key}); !errors.Is(err, ErrOwnState) {
		t.Errorf("own state: %v", err)
	}
	if err := s.Merge(peer, &RowState{Key: key, Born: 1, Stamp: 1, Cells: cellAt(packed)}); err != nil {
		t.Error(err)
	}
}

// TestMergeDerived has a peer merge every tick in order with all left out that it
// can work out: sums of finer cells and lifetimes that grew evenly. It must agree
// after each one, and what was left out must be most of what there is.
func TestMergeDerived(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		now := time.UnixMilli(1_800_000_000_000)
		clock := func() time.Time { return now }
		a, _ := New(Options{Node: "a", Now: clock})
		b, _ := New(Options{Node: "b", Now: clock})
		id := OriginID{"a", a.Incarnation()}
		left, sent := 0, 0
		for n := range 700 {
			if n%200 < 120 { // with pauses, so that rows age
				events := make([]Event, rng.IntN(12))
				for i := range events {
					events[i] = randomEvent(rng, now.UnixMilli(), n*100+i)
				}
				a.Apply(events)
			}
			now = now.Add(500 * time.Millisecond)
			before := a.Sequence()
			a.Tick()
			var states []RowState
			a.Changed(id, before, AllTiers, func(s *RowState) bool {
				kept := recorded(s)
				if kept.Even {
					kept.Lifetime = cell.Lifetime{}
					left++
				}
				for i := range kept.Cells {
					if kept.Cells[i].Summed {
						kept.Cells[i].Packed = nil
						left++
					}
				}
				sent++
				states = append(states, kept)
				return true
			})
			for i := range states {
				if err := b.Merge(id, &states[i]); err != nil {
					t.Fatalf("seed %d, tick %d: %v", seed, n, err)
				}
			}
			if a.Digest(id) != b.Digest(id) {
				t.Fatalf("seed %d, tick %d: digests differ", seed, n)
			}
		}
		if left < sent {
			t.Errorf("seed %d: of %d rows only %d parts were left out", seed, sent, left)
		}
		for w := range cell.NumWindows {
			q := Query{By: []Dim{ChainDim, ProviderDim, MethodDim, RegionDim}, Window: w}
			want, got := a.NewTable(q), b.NewTable(q)
			want.Refresh()
			got.Refresh()
			if len(want.Rows()) != len(got.Rows()) || len(want.Rows()) == 0 {
				t.Fatalf("seed %d, %v: %d rows, want %d", seed, w, len(got.Rows()), len(want.Rows()))
			}
			for i := range got.Rows() {
				x, y := *got.Rows()[i], *want.Rows()[i]
				x.LastSeenAt, y.LastSeenAt = 0, 0
				if !sameRow(&x, &y) {
					t.Fatalf("seed %d, %v:\n got %+v\nwant %+v", seed, w, x, y)
				}
			}
		}
	}
}

// TestClockOfAnotherNode: cells are aged by their origin's clock, also when that
// turns out to be an hour behind only after it had been taken for right.
func TestClockOfAnotherNode(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	node := func(name string, behind time.Duration) *Store {
		s, err := New(Options{Node: name, Incarnation: 1, Now: func() time.Time { return now.Add(-behind) }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := node("a", time.Hour), node("b", 0)
	id := OriginID{"a", 1}
	at := a.Now()
	a.Apply([]Event{{Sent: FieldTS, TS: at, SentTS: at, Profile: "default", Chain: "c", ProviderID: "p", Method: "m", Strategy: "s", SourceNode: "g", SourceRegion: "r", Weight: 1}})
	a.Tick()
	calls := func() (sum uint64) {
		a.Changed(id, 0, AllTiers, func(s *RowState) bool {
			if err := b.Merge(id, s); err != nil {
				t.Fatal(err)
			}
			return true
		})
		table := b.NewTable(Query{By: []Dim{ChainDim}, Window: cell.Window1m})
		table.Refresh()
		for _, r := range table.Rows() {
			sum += r.Calls
		}
		return sum
	}
	b.SetClock(id, b.Now())
	if got := calls(); got != 0 {
		t.Errorf("with the wrong clock, %d calls count", got)
	}
	b.SetClock(id, a.Now())
	b.Tick()
	if got := calls(); got != 1 {
		t.Errorf("with the right clock, %d calls count, want 1", got)
	}
	now = now.Add(75 * time.Second)
	b.Tick()
	if got := calls(); got != 0 {
		t.Errorf("after 75 s, %d calls count", got)
	}
}
