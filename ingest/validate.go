package ingest

import (
	"math/bits"
	"strings"

	"remuda/store"
)

// finish judges an event that has been read and fills in what was not given. It
// returns the one fault to report: the first in the text that concerns the kind
// of event, else the first required field that is missing, else a ts that is too
// old.
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
	for present := d.present; present != 0; present &= present - 1 {
		e.Sent |= sent[bits.TrailingZeros32(uint32(present))]
	}

	e.TS = e.SentTS
	switch {
	case d.present&(1<<fieldTS) == 0:
		e.TS = d.now
	case e.TS > d.now+maxAhead:
		e.TS, adjusted = d.now, true
	case e.TS < d.now-maxAge:
		return fault{field: fieldTS, code: "too_old", detail: "more than an hour old"}, false
	}
	if e.Profile == "" {
		e.Profile = "default"
	}
	if e.SourceRegion == "" {
		if e.SourceRegion = d.region; d.lasso&(1<<fieldSourceNode) != 0 && e.SourceNode != "" {
			e.SourceRegion = regionOf(e.SourceNode)
		}
	}
	if e.SourceNode == "" {
		e.SourceNode = d.node
	}
	if e.Kind != store.Decision {
		return fault{}, adjusted
	}
	if e.Strategy == "" {
		e.Strategy = "unknown"
	}
	if d.present&(1<<fieldUpstream) == 0 {
		e.UpstreamMicros = e.DurationMicros
	}
	if d.present&(1<<fieldFailovers) == 0 {
		e.FailoverCount = uint32(len(e.Attempts))
	}
	for i := range e.Attempts {
		if a := &e.Attempts[i]; a.Transport == inherited {
			a.Transport = e.Transport
		}
	}
	return fault{}, adjusted
}

// regionOf is the region in a Lasso node id: the lower-case prefix of ids such as
// Sjc-080713ea67e778, which are a place and a machine; else the whole id.
func regionOf(id string) string {
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
