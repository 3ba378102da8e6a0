package cluster

import (
	"fmt"
	"testing"

	"remuda/store"
)

// Of more rows than there are numbers for, those without one keep their key, and take
// no number from the others: no pull is in vain.
func TestMoreRowsThanNumbers(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", 1)
	w.meet(peer{name: "a", incarnation: 1})
	const rows = 3 * maxNumbers
	for round := range 6 {
		events := make([]store.Event, rows)
		at := a.store.Now()
		for i := range events {
			events[i] = store.Event{
				Sent: store.FieldTS, TS: at, SentTS: at, Profile: "default", Chain: "base", Method: "m", Strategy: "s", ProviderID: fmt.Sprint("p", i),
				SourceNode: "gw", SourceRegion: "r", Weight: 1, DurationMicros: 1000, UpstreamMicros: 1000,
			}
		}
		a.store.Apply(events)
		w.receive(a.tick(0, narrow))
		pulls := w.pulls()
		w.want(fmt.Sprint("pulls in round ", round), len(pulls), 1)
		w.serve(a, pulls[0])
		w.want(fmt.Sprint("calls after round ", round), w.calls(), uint64(rows*(round+1)))
		w.want(fmt.Sprint("it goes on building in round ", round), w.of(a).plain, false)
	}
}
