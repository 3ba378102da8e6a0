package cluster

import (
	"fmt"
	"testing"
	"time"

	"remuda/cluster/rules"
	"remuda/cluster/wire"
	"remuda/store"
)

func (w *world) yields() bool {
	_, _, yields := w.rules.Rival()
	return yields
}

// Nobody yields to a younger process of its name, however long that goes on.
func TestR10Younger(t *testing.T) {
	w := newWorld(t)
	younger := w.node("me", 1100)
	for range 200 {
		w.receive(younger.tick(1, wide))
	}
	w.want("yields", w.yields(), false)
}

// What is left of a former run of this node comes late and many at a time: in one
// burst, in a burst after another from members that lost touch with it at different
// times, repeated, or in the order of its sequences over a while. It is no rival.
func TestR10FormerRun(t *testing.T) {
	const every = 500 * time.Millisecond
	for name, deliver := range map[string]func(w *world, heads [][][]byte){
		"three in a burst, long after the first": func(w *world, heads [][][]byte) {
			w.receive(heads[0])
			w.now += time.Minute
			for _, h := range heads[1:4] {
				w.receive(h)
			}
		},
		"all in a burst, again and again": func(w *world, heads [][][]byte) {
			for range 20 {
				for _, h := range heads {
					w.receive(h)
				}
				w.now += 15 * time.Second
			}
		},
		"a burst from each member that hears of it again": func(w *world, heads [][][]byte) {
			for i := 0; i < len(heads); i += 13 {
				for _, h := range heads[i:min(i+13, len(heads))] {
					w.receive(h)
				}
				w.now += 15 * time.Second
			}
		},
		"few that are far apart": func(w *world, heads [][][]byte) {
			for i := 0; i < len(heads); i += 25 {
				w.receive(heads[i])
				w.now += 15 * time.Second
			}
		},
		"one by one, more slowly than they were sent": func(w *world, heads [][][]byte) {
			for _, h := range heads {
				w.receive(h)
				w.now += every + every/5
			}
		},
		"one by one, as if it lived, until it does not": func(w *world, heads [][][]byte) {
			for _, h := range heads[:int((rivalPeriod-time.Second)/every)] {
				w.receive(h)
				w.now += every
			}
			w.now += time.Minute
			for _, h := range heads {
				w.receive(h)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.meet(wire.Peer{Name: "a", Incarnation: 1}, wire.Peer{Name: "b", Incarnation: 1})
			former := w.node("me", 900)
			heads := make([][][]byte, 120)
			for i := range heads {
				heads[i] = former.tick(1, wide)
			}
			w.now += 3 * time.Second // it was killed and is back
			deliver(w, heads)
			// And members have more and more of it while they hear of it from each other.
			for i := range uint64(20) {
				w.now += time.Second
				mark := 100 + i
				w.exchanged([]string{"a", "b"}[i%2], nil, verified(former.id, mark, 1))
			}
			w.want("yields", w.yields(), false)
		})
	}
}

// An older process of this name that goes on is heard: as it sends, or in bursts when
// members send each other what was lost. Its clock may be another's.
func TestR10Rival(t *testing.T) {
	for _, skew := range []time.Duration{0, -time.Hour, time.Hour} {
		for _, together := range []int{1, 30} { // 30 heads are 15 s
			t.Run(fmt.Sprint(skew, " off, heads together: ", together), func(t *testing.T) {
				w := newWorld(t)
				rival, err := store.New(store.Options{
					Node: "me", Incarnation: 900, DedupBytes: 1 << 20,
					Now: func() time.Time { return time.UnixMilli(simBase).Add(w.now + skew) },
				})
				if err != nil {
					t.Fatal(err)
				}
				older := &teller{w: w, name: "me", publisher: &publisher{store: rival, id: store.OriginID{Node: "me", Incarnation: 900}}}
				var heads [][][]byte
				var first, yielded time.Duration
				for range 120 {
					heads = append(heads, older.tick(1, wide))
					if len(heads) < together {
						continue
					}
					for _, h := range heads {
						w.receive(h)
					}
					heads = nil
					if first == 0 {
						first = w.now
					}
					if w.yields() && yielded == 0 {
						yielded = w.now
					}
				}
				if took := yielded - first; took < rivalPeriod || took > rivalPeriod+time.Second {
					t.Errorf("it yields %v after the first head, want %v", took, rivalPeriod)
				}
			})
		}
	}
}

// Who answers where this node's name was told is a rival if it is an older process of
// that name, and nobody else is.
func TestR10Answers(t *testing.T) {
	for id, yields := range map[store.OriginID]bool{
		{Node: "me", Incarnation: 900}:   true,
		{Node: "me", Incarnation: 1000}:  false, // this one, by another address
		{Node: "me", Incarnation: 1100}:  false,
		{Node: "else", Incarnation: 900}: false, // the address was given to another
	} {
		w := newWorld(t)
		w.step(rules.Met{ID: id})
		w.want(fmt.Sprint("yields to ", id), w.yields(), yields)
	}
}
