package store

import (
	"math"
	"testing"
	"time"
)

// TestSenderRate has a sender that makes ten calls a second report to a node that
// ends, to another while that one is away, and to its next run. Whoever looks, and
// whenever, sees some ten calls a second.
func TestSenderRate(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	node := func(name string) *Store {
		s, err := New(Options{Node: name, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := node("a"), node("b")
	report := func() { // what b's run has counted comes to a
		id := OriginID{"b", b.Incarnation()}
		if err := a.MergeNotes(id, b.ChangedNotes(id, 0)); err != nil {
			t.Fatal(err)
		}
	}
	members := func(state string) {
		a.SetMembers([]Member{
			{Name: "a", State: "alive", Known: true, Reporting: true, Incarnation: a.Incarnation()},
			{Name: "b", State: state, Known: true, Reporting: state == "alive", Incarnation: b.Incarnation()},
		})
	}
	members("alive")
	for second := range 240 {
		to := b
		switch second {
		case 90:
			members("failed")
		case 100:
			b = node("b")
			to = b
			members("alive")
		}
		if second >= 90 && second < 100 {
			to = a
		}
		e := Event{
			TS: now.UnixMilli(), SentTS: now.UnixMilli(), Sent: FieldTS, Profile: "p", Chain: "c", ProviderID: "x", Method: "m",
			Strategy: "s", SourceNode: "gw", SourceRegion: "r", Weight: 10,
		}
		to.Apply([]Event{e})
		now = now.Add(time.Second)
		a.Tick()
		b.Tick()
		if to == b {
			report()
		}
		list := a.Senders(Filter{ProfileDim: {"p"}})
		if len(list) != 1 || second > 2 && math.Abs(list[0].CallsPerSecond-10) > 2 {
			t.Fatalf("second %d: %+v", second, list)
		}
	}
}
