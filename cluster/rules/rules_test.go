package rules

import (
	"fmt"
	"testing"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

var (
	me  = store.OriginID{Node: "me", Incarnation: 1000}
	her = store.OriginID{Node: "a", Incarnation: 1}
)

// A bench is rules with nothing around them: what is to be done is handed to the test.
type bench struct {
	*Rules
	now time.Duration
}

func newBench() *bench {
	b := &bench{Rules: New(me, func(int) time.Duration { return 500 * time.Millisecond }, 1), now: time.Second}
	b.step(Members{List: []wire.Peer{{Name: "me", State: "alive"}, {Name: "a", Incarnation: 1, State: "alive"}}})
	return b
}

func (b *bench) step(e Event) []Effect { return b.Step(b.now, b.now.Milliseconds(), e) }

// says is a delta of a run that has nothing new to tell, and all of it.
func (b *bench) says(sequence, after, digest uint64) Heard {
	h := wire.Head{ID: her, Sequence: sequence, After: after, Wall: b.now.Milliseconds(), Digest: digest, Whole: true, Parts: 1}
	return Heard{h.Append(nil)}
}

// merges returns what is to be merged.
func merges(effects []Effect) (list []Merge) {
	for _, e := range effects {
		if m, is := e.(Merge); is {
			list = append(list, m)
		}
	}
	return list
}

func calibrates(effects []Effect) bool {
	for _, e := range effects {
		if _, is := e.(Calibrate); is {
			return true
		}
	}
	return false
}

var whole = Outcome{Whole: true}

// A mark moves when the merge is done. Of a run one delta is merged at a time, in the order
// of coming, and what builds on one that came before is complete when that has been merged.
func TestMarksMoveWhenMerged(t *testing.T) {
	b := newBench()
	first := merges(b.step(b.says(1, 0, 0)))
	if len(first) != 1 || !first[0].Complete {
		t.Fatalf("the first: %+v", first)
	}
	if more := merges(b.step(b.says(2, 1, 0))); len(more) != 0 {
		t.Errorf("while one is merged: %+v", more)
	}
	if s, _ := b.Status(her); s.Mark != 0 || s.Verified {
		t.Errorf("while the first is merged: %+v", s)
	}
	second := merges(b.step(Merged{ID: her, Outcome: whole}))
	if s, _ := b.Status(her); s.Mark != 1 || s.Verified {
		t.Errorf("while the second is merged: %+v", s)
	}
	if len(second) != 1 || !second[0].Complete {
		t.Fatalf("the second: %+v", second)
	}
	b.step(Merged{ID: her, Outcome: whole})
	if s, told := b.Status(her); s.Mark != 2 || !s.Verified || !told {
		t.Errorf("in the end: %+v", s)
	}
}

// What comes while something is merged waits, as far as there is room; what it says of the
// run counts at once.
func TestWaitingIsBounded(t *testing.T) {
	b := newBench()
	b.step(b.says(1, 0, 0))
	for i := range uint64(maxWaiting + 3) {
		b.now += 100 * time.Millisecond
		b.step(b.says(i+2, i+1, 0))
	}
	if o := b.origins[her]; len(o.waiting) != maxWaiting || o.head != maxWaiting+4 || o.headAt != b.now {
		t.Errorf("%d wait, the head is %d, heard at %v of %v", len(o.waiting), o.head, o.headAt, b.now)
	}
	if n := b.Counts().Ignored; n != 3 {
		t.Errorf("%d are dropped, want 3", n)
	}
}

// Digests are neither compared nor taken over while something of the run is merged: what
// the store says of it then is of no sequence.
func TestDigestsWaitForMerges(t *testing.T) {
	b := newBench()
	b.step(b.says(1, 0, 5))
	b.step(Merged{ID: her, Outcome: whole, Digest: 4}) // a divergence: all is pulled
	pulls := b.step(Due{})
	if len(pulls) == 0 {
		t.Fatal("nothing is pulled")
	}
	pull, is := pulls[0].(Pull)
	if !is || pull.After != 0 {
		t.Fatalf("it asks %+v", pulls[0])
	}
	b.step(b.says(2, 1, 7))
	theirs := wire.Status{ID: her, Mark: 2, Ahead: 2, Digest: 7, Verified: true}
	if effects := b.step(Pulled{Pull: pull, Status: theirs, Exact: true, Outcome: Outcome{Whole: true, Ahead: 2}, Digest: 6}); calibrates(effects) {
		t.Errorf("while the second delta is merged: %+v", effects)
	}
	if s, _ := b.Status(her); s.Mark != 2 || s.Verified {
		t.Errorf("meanwhile: %+v", s)
	}
	effects := b.step(Merged{ID: her, Outcome: whole, Digest: 6})
	if s, _ := b.Status(her); !calibrates(effects) || s.Digest != 7 || !s.Verified {
		t.Errorf("in the end: %+v, after %+v", s, effects)
	}
	if n := b.Counts().Divergence; n != 1 {
		t.Errorf("%d divergences, want the one", n)
	}
}

// What a pull did not bring, and a delta that is being merged may, is neither asked for at
// once nor held against whoever was asked.
func TestPullsLeaveRoomForMerges(t *testing.T) {
	for mark := uint64(1); mark <= 2; mark++ { // the pull brings nothing, or one sequence
		b := newBench()
		b.step(b.says(1, 0, 0))
		b.step(Merged{ID: her, Outcome: whole})
		b.step(b.says(3, 2, 0)) // one is missing
		b.step(Merged{ID: her, Outcome: whole})
		b.now += time.Second
		var pull Pull
		for _, e := range b.step(Due{}) {
			if p, is := e.(Pull); is {
				pull = p
			}
		}
		if pull.ID != her {
			t.Fatal("nothing is pulled")
		}
		b.step(b.says(4, 1, 0)) // brings all
		b.step(Pulled{Pull: pull, Status: wire.Status{ID: her, Mark: mark, Ahead: mark}, Outcome: whole})
		due := func() (pulls int) {
			for _, e := range b.step(Due{}) {
				if _, is := e.(Pull); is {
					pulls++
				}
			}
			return pulls
		}
		b.now += 200 * time.Millisecond
		if n := due(); n != 0 {
			t.Errorf("up to %d: asked again while a delta is merged", mark)
		}
		b.step(Merged{ID: her, Outcome: whole})
		b.now += time.Second
		if o := b.origins[her]; o.mark != 4 || o.pull != settled || o.failures != 0 || due() != 0 {
			t.Errorf("up to %d: in the end: %s", mark, b.Describe(her))
		}
	}
}

// A run is not forgotten while something of it is merged.
func TestForgetWaitsForMerges(t *testing.T) {
	b := newBench()
	b.step(b.says(1, 0, 0))
	b.step(Members{List: []wire.Peer{{Name: "me", State: "alive"}}})
	b.now += 2 * silentAfter
	if effects := b.step(Ticked{}); len(effects) != 0 {
		t.Errorf("while it is merged: %+v", effects)
	}
	b.step(Merged{ID: her, Outcome: whole})
	b.now += 2 * silentAfter
	if effects := b.step(Ticked{Held: map[store.OriginID]bool{her: true}}); len(effects) != 0 {
		t.Errorf("while there are cells of it: %+v", effects)
	}
	if effects := b.step(Ticked{}); len(effects) != 1 || effects[0] != (Forget{her}) {
		t.Errorf("in the end: %+v", effects)
	}
}

// A delta is lost. What comes after it is merged as far as it needs nothing else, and when
// what is missing could have come, it is pulled.
func ExampleRules() {
	r := New(me, func(int) time.Duration { return 500 * time.Millisecond }, 1)
	print := func(at time.Duration, e Event) {
		for _, effect := range r.Step(at, at.Milliseconds(), e) {
			switch do := effect.(type) {
			case Merge:
				fmt.Printf("%v: merge, complete: %v\n", at, do.Complete)
			case Pull:
				fmt.Printf("%v: pull from %s what came after %d\n", at, do.Member, do.After)
			default:
				fmt.Printf("%v: %T\n", at, effect)
			}
		}
	}
	delta := func(sequence uint64) Heard {
		h := wire.Head{ID: her, Sequence: sequence, After: sequence - 1, Wall: 2000, Whole: true, Parts: 1}
		return Heard{h.Append(nil)}
	}
	print(0, Members{List: []wire.Peer{{Name: "me", State: "alive"}, {Name: "a", Incarnation: 1, State: "alive"}}})
	print(1*time.Second, delta(1))
	print(1*time.Second, Merged{ID: her, Outcome: whole})
	print(2*time.Second, delta(3))
	print(2*time.Second, Merged{ID: her, Outcome: Outcome{Ahead: 3}})
	print(2100*time.Millisecond, Due{})
	print(2400*time.Millisecond, Due{})
	// Output:
	// 1s: rules.SetClock
	// 1s: merge, complete: true
	// 2s: merge, complete: false
	// 2.1s: rules.Exchange
	// 2.4s: pull from a what came after 1
}
