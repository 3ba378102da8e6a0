package cluster

import (
	"bytes"
	"testing"
	"time"

	"remuda/cluster/rules"
	"remuda/cluster/wire"
	"remuda/store"
)

// told is a message of each kind that a node sends, from a node that has something of
// everything: the events of a tick, and the chunks of its state.
func told(t testing.TB, w *world) (events, chunks [][]byte, id store.OriginID) {
	a := w.node("a", 1)
	at := a.store.Now()
	report := store.Event{
		Sent: store.FieldTS, TS: at, SentTS: at, Profile: "default", Chain: "base", ProviderID: "p", SourceNode: "gw", SourceRegion: "r",
	}
	circuit, block, health := report, report, report
	circuit.Kind, circuit.To = store.Circuit, store.CircuitOpen
	block.Kind, block.Height = store.Block, 7
	health.Kind, health.Status = store.Health, store.Unhealthy
	if refused := a.store.Apply([]store.Event{circuit, block, health}).Refusals; len(refused) > 0 {
		t.Fatal(refused)
	}
	events = a.tick(10, wide)
	own := verified(a.id, 1, a.store.Digest(a.id))
	out := wire.StateWriter{Source: a.store, Emit: func(chunk []byte) error { chunks = append(chunks, bytes.Clone(chunk)); return nil }}
	if err := out.Write(a.id, 0, a.store.Now(), func() wire.Status { return own }); err != nil {
		t.Fatal(err)
	}
	return events, chunks, a.id
}

// FuzzReceive: whatever a member sends, the rules take it or leave it, and what
// it took can be asked for.
func FuzzReceive(f *testing.F) {
	events, _, _ := told(f, newWorld(f))
	for _, e := range events {
		f.Add(e)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		w := newWorld(t)
		w.receive([][]byte{message})
		w.now += time.Second
		w.due()
		w.rules.Members(w.now, w.store)
		w.calls()
		w.store.Tick()
	})
}

// FuzzPull does the same with the chunks of a pull.
func FuzzPull(f *testing.F) {
	_, chunks, id := told(f, newWorld(f))
	f.Add(chunks[0], chunks[1], chunks[len(chunks)-1])
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		w := newWorld(t)
		w.exchanged(id.Node, nil, verified(id, 1, 0)) // it is spoken of
		in, outcome := w.reader(rules.Pull{ID: id, Member: id.Node})
		for _, chunk := range [][]byte{a, b, c} {
			if in.Take(chunk) != nil {
				break
			}
		}
		w.step(rules.Pulled{Pull: rules.Pull{ID: id, Member: id.Node}, Status: in.Status, Exact: in.Exact, Outcome: *outcome})
		w.calls()
	})
}
