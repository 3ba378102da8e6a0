package ingest

import (
	"strings"

	"remuda/store"
)

// maxRefused bounds the senders of one body whose refused events are told apart; those
// of more are of one without a name.
const maxRefused = 64

// blame counts a refused event for its sender, as far as that can be read of it, and
// returns the sender's name.
func (w *work) blame(code, field string) string {
	r := store.Refused{Events: 1, Fault: w.of(code, field)}
	r.Profile, r.Sender, r.Region = w.Sender()
	for i := range w.refused {
		if known := &w.refused[i]; known.Sender == r.Sender && known.Profile == r.Profile || known.Sender == "" {
			known.Events++
			known.Fault = r.Fault
			return known.Sender
		}
	}
	if len(w.refused) == maxRefused {
		r.Sender, r.Region = "", w.ingester.options.Store.Region()
	}
	r.Profile, r.Sender, r.Region = strings.Clone(r.Profile), strings.Clone(r.Sender), strings.Clone(r.Region) // they outlive the body
	w.refused = append(w.refused, r)
	return r.Sender
}

// lastFault remembers the number of a fault: mostly the next is the same.
type lastFault struct {
	code, field string
	store.Fault
}

func (l *lastFault) of(code, field string) store.Fault {
	if l.code != code || l.field != field {
		*l = lastFault{code, field, store.FaultOf(code, field)}
	}
	return l.Fault
}
