package ingest

import (
	"strings"

	"remuda/store"
)

// maxRefused bounds the senders of one body whose refused events are told apart; those
// of more are of one without a name.
const maxRefused = 64

// blame counts a refused event for its sender, as far as that can be read of it, and
// returns the sender's name. Without one it is this node's own, as of events that
// name none.
func (w *work) blame(code, field string) string {
	e := w.event
	r := store.Refused{
		Profile: w.legible(fieldProfile, e.Profile, "default"), Sender: w.legible(fieldSourceNode, e.SourceNode, w.node),
		Region: w.region, Events: 1, Fault: w.of(code, field),
	}
	switch {
	case w.has(fieldSourceRegion):
		r.Region = w.legible(fieldSourceRegion, e.SourceRegion, w.region)
	case w.lasso&(1<<fieldSourceNode) != 0 && r.Sender == e.SourceNode:
		r.Region = placeOf(r.Sender)
	}
	for i := range w.refused {
		if known := &w.refused[i]; known.Sender == r.Sender && known.Profile == r.Profile || known.Sender == "" {
			known.Events++
			known.Fault = r.Fault
			return known.Sender
		}
	}
	if len(w.refused) == maxRefused {
		r.Sender, r.Region = "", w.region
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

// legible is the value of a field of the event being read, if it is there and good.
func (d *decoder) legible(f field, value, otherwise string) string {
	if !d.has(f) || value == "" || d.nfaults == maxFaults {
		return otherwise
	}
	for i := range d.faults[:d.nfaults] {
		if d.faults[i].field == f {
			return otherwise
		}
	}
	return value
}

// nothing is what was read of what is no object.
func (d *decoder) nothing() {
	d.mark()
	d.nfaults, d.members = 0, members{}
}
