package store

import (
	"slices"
	"strings"

	"remuda/store/ids"
)

// A Fault is what was wrong with an event: a code, and the field that it is of. It is
// a number, so that members can tell each other of it.
type Fault uint16

// faultCodes are the codes of faults. Their order is part of what members say to each
// other: append only.
var faultCodes = []string{
	"", "malformed", "missing", "wrong_type", "wrong_unit", "empty", "too_long", "bad_character", "negative", "not_finite",
	"out_of_range", "duplicate_name", "unknown_value", "unknown_type", "too_old", "too_many_series", "malformed_body",
}

// FaultOf is the fault of a code and a field. What is not known of either is left out.
func FaultOf(code, field string) Fault {
	return Fault(max(slices.Index(faultCodes, code), 0)<<8 | (slices.Index(fieldNames, field) + 1))
}

// Code is one of the documented codes, "" for one of a version to come.
func (f Fault) Code() string {
	if c := int(f >> 8); c < len(faultCodes) {
		return faultCodes[c]
	}
	return ""
}

// Field is the field that the fault is of, "" for the whole event.
func (f Fault) Field() string {
	if n := int(f & 0xff); n > 0 {
		return FieldName(n - 1)
	}
	return ""
}

func (f Fault) String() string {
	if field := f.Field(); field != "" {
		return f.Code() + " of " + field
	}
	return f.Code()
}

// Refused are events of one sender that were not counted; without a name, of several
// that are not told apart.
type Refused struct {
	Profile, Sender, Region string
	Events                  uint64
	Fault                   Fault // of one of them
}

// NoteRefused keeps whose events were refused before they came as far as Apply. A
// profile or a sender that is not known becomes so, while there is room.
func (s *Store) NoteRefused(list []Refused) {
	now := s.clock.now()
	for i := range list {
		r := &list[i]
		p := s.acquireProfile(r.Profile)
		if p == nil {
			continue // the node's own figures have it
		}
		p.refuser(r.Sender, r.Region, now).refuse(r.Events, r.Fault, now)
		p.release()
	}
	if len(list) > 0 {
		s.revision.Add(1)
	}
}

// refuser returns the sender of refused events. One that has sent nothing else yet is
// not one that reports.
func (p *profile) refuser(name, region string, now int64) *sender {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.senders[name]
	if name == "" || s == nil && len(p.senders) >= maxSenders {
		name = ids.Other
		s = p.senders[name]
	}
	if s == nil {
		s = &sender{name: strings.Clone(name), region: strings.Clone(region), rejection: rejection{at: now}}
		p.senders[s.name] = s
		p.presence.Join(s.name, s, now)
		p.store.senderCount.Add(1)
	}
	return s
}

// rejection is what was refused of a sender since it is known here. It is guarded by
// the sender's mutex.
type rejection struct {
	events uint64
	at     int64 // the last, ms; 0: none
	fault  Fault // of the last
}

func (s *sender) refuse(events uint64, f Fault, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejection = rejection{s.rejection.events + events, now, f}
}

// heard is when a sender was last heard of, be it with events that were refused. The
// caller holds its mutex.
func (s *sender) heard() int64 { return max(s.lastSeen, s.rejection.at) }

// heard is the same of one that reports to another node, by this node's clock.
func (d *Sender) heard(o *origin) int64 { return o.Local(max(d.LastSeenAt, d.RejectedAt)) }

// addRejected adds what another node refused of the sender.
func (d *Sender) addRejected(o *Sender) {
	d.Rejected += o.Rejected
	if o.RejectedAt > d.RejectedAt {
		d.RejectedAt, d.Fault = o.RejectedAt, o.Fault
	}
}
