package cluster

import (
	"fmt"
	"testing"

	"remuda/cluster/internal/made"
	"remuda/cluster/wire"
	"remuda/store"
)

// Of more rows than there are numbers for, those without one keep their key, and take
// no number from the others: no pull is in vain.
func TestMoreRowsThanNumbers(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(wire.Peer{Name: "a", Incarnation: 1})
	const rows = 3 * maxNumbers
	for round := range 6 {
		events := make([]store.Event, rows)
		at := a.store.Now()
		for i := range events {
			events[i] = made.Call(at, fmt.Sprint("p", i), 1000)
		}
		a.store.Apply(events)
		w.receive(a.tick(0, narrow))
		pulls := w.pulls()
		w.want(fmt.Sprint("pulls in round ", round), len(pulls), 1)
		w.want(fmt.Sprint("it goes on building in round ", round), pulls[0].Builds, round > 0)
		w.serve(a, pulls[0])
		w.want(fmt.Sprint("calls after round ", round), w.calls(), uint64(rows*(round+1)))
	}
}

// TestRowNumbers: a key goes along for some sequences, then only its number, and a
// row that comes back is another.
func TestRowNumbers(t *testing.T) {
	var n rowNumbers
	name := func(key string, born, sequence uint64, thrifty bool) wire.RowName {
		return n.name(&store.RowState{Key: key, Born: born, Stamp: sequence}, sequence, thrifty)
	}
	first := name("k", 1, 10, false)
	if !first.Keyed || !name("k", 1, 10+tellFor-1, false).Keyed {
		t.Error("the key is not told long enough")
	}
	if name("k", 1, 11, true).Keyed {
		t.Error("the key is told again where room is short")
	}
	if later := name("k", 1, 10+tellFor, false); later.Keyed || later.Number != first.Number {
		t.Errorf("later it is %+v, first %+v", later, first)
	}
	if again := name("k", 20, 30, true); again.Number == first.Number || !again.Keyed {
		t.Errorf("come back it is %+v, before %+v", again, first)
	}
	row := store.RowState{Key: "k", Born: 1, Stamp: 40}
	if known := n.answerName(&row, 40, 10); known != (wire.RowName{Number: first.Number}) {
		t.Errorf("to who has what the number was told with, it is %+v", known)
	}
	if known := n.answerName(&row, 40, 9); known != (wire.RowName{Number: first.Number, Keyed: true}) {
		t.Errorf("to who has less, it is %+v", known)
	}
	for i := range maxNumbers + 10 {
		name(string(rune('a'+i%26))+string(rune(i)), uint64(i), 40, false)
	}
	if len(n.byKey) > maxNumbers {
		t.Errorf("%d numbers are kept", len(n.byKey))
	}
	if late := name("latecomer", 1, 41, true); !late.Keyed {
		t.Error("a row beyond the numbers lost its key")
	}
}
