package ingest

import (
	"strings"

	"remuda/store"
)

// finish judges an event that has been read and fills in what was not given. It
// returns the one fault to report: the first in the text that concerns the kind
// of event, else the first required field that is missing, else an instant that is too
// old. Circuits stand however old their last transition is.
func (d *decoder) finish() (f fault, adjusted bool) {
	e := d.event
	relevant := fieldsOf[e.Kind]
	for _, f := range d.faults[:d.nfaults] {
		if d.nfaults == maxFaults || f.field == fieldWhole || relevant&(1<<f.field) != 0 || f.code == "duplicate_name" {
			return f, false
		}
	}
	if missing := requiredSet[e.Kind] &^ d.present; missing != 0 {
		for _, f := range required[e.Kind] {
			if missing&(1<<f) != 0 {
				return fault{field: f, code: "missing", detail: "required"}, false
			}
		}
	}
	e.Sent = store.Fields(d.present)
	if d.other {
		e.Sent |= store.FieldOther
	}

	// A variation begins as a copy of the event before, so what is not given may
	// be that one's default, and is set again wherever it depends on other fields.
	e.TS = e.SentTS
	switch {
	case !d.has(fieldTS):
		e.TS = d.now
	case e.TS > d.now+store.MaxAhead:
		e.TS, adjusted = d.now, true
	case e.TS < d.now-maxAge && (e.Kind != store.Circuit || e.TS <= 0):
		return fault{field: fieldTS, code: "too_old", detail: "more than an hour old"}, false
	}
	if !d.has(fieldProfile) {
		e.Profile = "default"
	}
	if !d.has(fieldSourceNode) {
		e.SourceNode = d.node
	}
	if !d.has(fieldSourceRegion) {
		e.SourceRegion = d.region
		if d.lasso&(1<<fieldSourceNode) != 0 && d.has(fieldSourceNode) {
			e.SourceRegion = d.regionOf(e.SourceNode)
		}
	}
	switch e.Kind {
	case store.Decision:
		d.finishDecision()
	case store.Circuit:
		if d.has(fieldSince) && e.SinceAt <= 0 {
			return fault{field: fieldSince, code: "too_old", detail: "before the epoch"}, false
		}
		e.SinceAt = min(e.SinceAt, e.TS)
	case store.Block:
		e.Transport = store.HTTP // a height is the provider's, however it was learnt
	}
	return fault{}, adjusted
}

func (d *decoder) has(f field) bool { return d.present&(1<<f) != 0 }

func (d *decoder) finishDecision() {
	e := d.event
	if !d.has(fieldStrategy) {
		e.Strategy = "unknown"
	}
	if !d.has(fieldUpstream) {
		e.UpstreamMicros = e.DurationMicros
	}
	if !d.has(fieldFailovers) {
		e.FailoverCount = uint32(len(e.Attempts))
	}
	for i := range e.Attempts {
		if a := &e.Attempts[i]; a.Transport == inherited {
			a.Transport = e.Transport
		}
	}
}

// regionOf is the region in a Lasso node id: the lower-case prefix of ids such as
// Sjc-080713ea67e778, which are a place and a machine; else the whole id. The
// answer for the last id is remembered.
func (d *decoder) regionOf(id string) string {
	if id != d.placeID {
		d.placeID, d.place = id, placeOf(id)
	}
	return d.place
}

func placeOf(id string) string {
	place, machine, found := strings.Cut(id, "-")
	if !found || place == "" || len(machine) < 8 {
		return id
	}
	for i := range len(machine) {
		if c := machine[i]; c-'0' > 9 && (c < 'a' || c > 'f') {
			return id
		}
	}
	for i := range len(place) {
		if c := place[i] | 0x20; c < 'a' || c > 'z' {
			return id
		}
	}
	return strings.ToLower(place)
}
