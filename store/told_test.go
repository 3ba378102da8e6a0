package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"remuda/store/cell"
)

// A pair is two nodes on clocks of their own, of which the second is told what the
// first counts.
type pair struct {
	t        *testing.T
	now      [2]time.Time
	a, b     *Store
	id       OriginID
	sequence uint64 // told so far
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, now: [2]time.Time{time.UnixMilli(1_800_000_000_000), time.UnixMilli(1_800_000_000_000)}, id: OriginID{"a", 1}}
	for i, s := range []**Store{&p.a, &p.b} {
		var err error
		if *s, err = New(Options{Node: string(rune('a' + i)), Incarnation: 1, Now: func() time.Time { return p.now[i] }}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *pair) pass(d time.Duration) { p.now[0], p.now[1] = p.now[0].Add(d), p.now[1].Add(d) }

// count has a call counted at an instant of the clock of a.
func (p *pair) count(at time.Time, chain string) {
	p.t.Helper()
	ms := at.UnixMilli()
	out := p.a.Apply([]Event{{Sent: FieldTS, TS: ms, SentTS: ms, Profile: "default", Chain: chain, ProviderID: "p", Method: "m", Strategy: "s", SourceNode: "g", SourceRegion: "r", Weight: 1}})
	if len(out.Refusals) > 0 {
		p.t.Fatal(out.Refusals)
	}
}

// tell closes a sequence at a, and has b merge what changed, without what it can work
// out.
func (p *pair) tell() (err error) {
	p.a.Tick()
	p.a.Changed(p.id, p.sequence, AllTiers, func(s *RowState) bool {
		if s.Even {
			s.Lifetime = cell.Lifetime{}
		}
		err = errors.Join(err, p.b.Merge(p.id, s))
		return true
	})
	p.sequence = p.a.Sequence()
	return err
}

func (p *pair) same(what string) {
	p.t.Helper()
	if p.a.Digest(p.id) != p.b.Digest(p.id) {
		p.t.Errorf("%s: digests differ", what)
	}
}

func calls(s *Store, w cell.Window) (sum uint64) {
	table := s.NewTable(Query{By: []Dim{ProfileDim}, Window: w})
	table.Refresh()
	for _, r := range table.Rows() {
		sum += r.Calls
	}
	return sum
}

// TestSlowReaderOfChanges: a reader that takes its time puts no shard's clock back.
func TestSlowReaderOfChanges(t *testing.T) {
	p := newPair(t)
	for i := range 200 { // in most shards
		p.count(p.now[0], fmt.Sprint("c", i))
	}
	p.a.Tick()
	if n := calls(p.a, cell.Window10s); n != 200 {
		t.Fatalf("%d calls are counted", n)
	}
	slept := false
	p.a.Changed(p.id, 0, AllTiers, func(*RowState) bool {
		for range 60 {
			if slept {
				break
			}
			p.pass(500 * time.Millisecond)
			p.a.Tick()
		}
		slept = true
		return true
	})
	if n := calls(p.a, cell.Window10s); n != 0 {
		t.Errorf("%d calls of 30 s ago are in the window of 10 s", n)
	}
}

// TestDroppedBeforeItIsTold: a call that is so late that its cell is dropped before a
// tick packs it is told with the row's next lifetime.
func TestDroppedBeforeItIsTold(t *testing.T) {
	p := newPair(t)
	tell := func() {
		t.Helper()
		if err := p.tell(); err != nil {
			t.Error(err)
		}
		p.same(fmt.Sprint("at sequence ", p.sequence))
	}
	p.count(p.now[0], "c")
	tell()
	p.pass(30 * time.Minute)
	p.count(p.now[0], "c")
	tell()
	for range 240 { // until all sums are made
		p.pass(500 * time.Millisecond)
		tell()
	}
	p.pass(p.now[0].Truncate(time.Minute).Add(time.Minute - 300*time.Millisecond).Sub(p.now[0]))
	tell()
	p.count(p.now[0].Add(100*time.Millisecond-time.Hour), "c")
	p.pass(500 * time.Millisecond) // the minute turns before the tick
	for range 5 {
		tell()
		p.pass(500 * time.Millisecond)
	}
	p.count(p.now[0], "c")
	tell()
	lifetime := uint64(0)
	p.b.Changed(p.id, 0, AllTiers, func(s *RowState) bool { lifetime = s.Lifetime[0]; return true })
	if lifetime != 4 {
		t.Errorf("the lifetime told is %d, want 4", lifetime)
	}
}

// TestGapMergesNothing: when what was left out cannot be worked out since a cell is too
// old here, no other cell is merged either: it would be newer than the lifetime.
func TestGapMergesNothing(t *testing.T) {
	p := newPair(t)
	p.count(p.now[0], "c")
	if err := p.tell(); err != nil {
		t.Fatal(err)
	}
	late := p.now[0].Add(11 * time.Second)
	p.pass(12 * time.Second)
	p.count(late, "c")
	p.count(p.now[0], "c")
	p.now[1] = late.Add(91 * time.Second) // b was frozen, and the delta waited in its socket
	if err := p.tell(); !errors.Is(err, ErrGap) {
		t.Fatalf("error %v, want %v", err, ErrGap)
	}
	p.b.Changed(p.id, 0, AllTiers, func(s *RowState) bool {
		if s.Stamp != 1 || s.Lifetime[0] != 1 {
			t.Errorf("stamp %d, lifetime %d, want 1 and 1", s.Stamp, s.Lifetime[0])
		}
		for _, c := range s.Cells {
			if c.Stamp > s.Stamp {
				t.Errorf("a cell is of stamp %d", c.Stamp)
			}
		}
		return true
	})
	p.a.Changed(p.id, 1, AllTiers, func(s *RowState) bool {
		if err := p.b.Merge(p.id, s); err != nil {
			t.Error(err)
		}
		return true
	})
	p.same("after all was told")

	p.count(p.now[0], "a-new-one")
	if err := p.tell(); !errors.Is(err, ErrGap) {
		t.Errorf("a new row whose only cell is too old: %v, want %v", err, ErrGap)
	}
	p.b.Changed(p.id, 0, AllTiers, func(s *RowState) bool {
		if strings.Contains(s.Key, "new") {
			t.Errorf("there is a row %+v", s)
		}
		return true
	})
}

// TestClockOfThisNodeSteps: when this node's clock follows the wall, what other nodes
// counted stays in its windows.
func TestClockOfThisNodeSteps(t *testing.T) {
	for _, step := range []int64{3_000_000, -3_000_000} {
		p := newPair(t)
		p.b.SetClock(p.id, p.a.Now())
		p.count(p.now[0], "c")
		if err := p.tell(); err != nil {
			t.Fatal(err)
		}
		p.b.stepClock(step)
		p.b.Tick()
		if m, h := calls(p.b, cell.Window1m), calls(p.b, cell.Window1h); m != 1 || h != 1 {
			t.Errorf("after a step by %d s: %d calls in 1m, %d in 1h, want 1 and 1", step/1000, m, h)
		}
		if skew := p.b.Skew(p.id).Milliseconds(); skew != -step {
			t.Errorf("after a step by %d ms the other's clock is ahead by %d", step, skew)
		}
	}
}

// TestDroppedCellsStayDropped: a clock that turns out to be slow brings no cell back that
// was dropped while it seemed fast, so what was left out of a state with such a cell
// cannot be worked out. Of seconds after that it can.
func TestDroppedCellsStayDropped(t *testing.T) {
	p := newPair(t)
	tell := func() error { p.count(p.now[0], "c"); return p.tell() }
	if err := tell(); err != nil {
		t.Fatal(err)
	}
	p.b.SetClock(p.id, p.a.Now()+3_000_000)
	p.b.Tick()
	p.b.SetClock(p.id, p.a.Now())
	p.b.Tick()
	if err := tell(); !errors.Is(err, ErrGap) {
		t.Errorf("the cell of which one call was dropped: %v, want %v", err, ErrGap)
	}
	p.a.Changed(p.id, 0, AllTiers, func(s *RowState) bool {
		if err := p.b.Merge(p.id, s); err != nil {
			t.Error(err)
		}
		return true
	})
	p.same("after all was told")
	p.pass(7 * time.Second)
	if err := tell(); err != nil {
		t.Errorf("a later second: %v", err)
	}
	p.same("in the end")
}
