package cluster

import (
	"testing"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// A clock is as fast as its fastest reading, and slower only when all readings of some
// seconds are: what had waited in a socket while this process was frozen says nothing.
func TestClockReadings(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	skew := func() time.Duration { return w.store.Skew(a.id) }
	w.receive(a.tick(1, wide))
	w.now += 20 * time.Millisecond
	for range 4 { // each a little late
		events := a.tick(1, wide)
		w.now += 30 * time.Millisecond
		w.receive(events)
	}
	waiting := [][][]byte{a.tick(1, wide), a.tick(1, wide)}
	w.now += 90 * time.Second
	for _, events := range waiting {
		w.receive(events)
		w.want("skew by what had waited", skew(), time.Duration(0))
	}
	for range 4 {
		w.receive(a.tick(1, wide))
		w.want("skew afterwards", skew(), time.Duration(0))
	}
	var late [][][]byte // each by a minute
	slow := func() {
		late = append(late, a.tick(1, wide))
		if len(late) > 120 {
			w.receive(late[0])
			late = late[1:]
		}
	}
	for range 130 {
		slow()
	}
	w.want("skew soon after the clock became slow", skew(), time.Duration(0))
	for range 4 {
		slow()
	}
	w.want("skew once that is certain", skew(), -time.Minute)
}

// A wall clock that is put back by an hour is no matter for others.
func TestClockPutBack(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	offset := time.Hour
	var err error
	a.store, err = store.New(store.Options{
		Node: "a", Incarnation: 1, DedupBytes: 1 << 20, Now: func() time.Time { return time.UnixMilli(simBase).Add(w.now + offset) },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	run := func(ticks int) (pulls int) {
		for range ticks {
			w.receive(a.tick(5, wide))
			for _, t := range w.pulls() {
				w.serve(a, t)
				pulls++
			}
		}
		return pulls
	}
	w.want("pulls before", run(200), 0)
	offset = 0
	w.want("pulls once it was put back", run(240), 0)
	w.want("skew", w.store.Skew(a.id), time.Hour)
	m := w.member("a")
	w.want("step that was told", m.ClockStep.By.Round(time.Second), -time.Hour)
	w.want("skew of its wall clock", m.ClockSkewMillis/1000, int64(0))
	w.want("divergences", w.member("a").DivergenceTotal, uint64(0))
	w.want("calls", w.calls(), uint64(5*440))
}
