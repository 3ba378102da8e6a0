package store

import (
	"fmt"
	"testing"
	"time"

	"remuda/store/ids"
)

// TestRefusedTravel: what one node refused of a sender others know of, and it adds up;
// it ages as all that is known of the sender does.
func TestRefusedTravel(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_000)
	node := func(name string, incarnation uint64) *Store {
		s, err := New(Options{Node: name, Incarnation: incarnation, DedupBytes: 1 << 20, Now: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b, c := node("a", 1), node("b", 2), node("c", 3)
	sync := func() {
		for _, from := range []*Store{a, b} {
			from.Tick()
			id := OriginID{from.Node(), from.Incarnation()}
			if err := c.MergeNotes(id, from.ChangedNotes(id, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	see := func() (said string) {
		for _, s := range c.Senders(Filter{ProfileDim: {"p"}}) {
			said += fmt.Sprintln(s.SourceNode, s.Region, s.Rejected, s.Fault, s.RejectedAt-at.UnixMilli(), s.Reporting)
		}
		return said
	}
	refused := func(sender, code, field string, events uint64) []Refused {
		return []Refused{{Profile: "p", Sender: sender, Region: "r", Events: events, Fault: FaultOf(code, field)}}
	}
	a.NoteRefused(refused("gw", "missing", "chain", 3))
	a.NoteRefused(refused("only", "malformed", "", 1<<40))
	at = at.Add(time.Second)
	b.NoteRefused(refused("gw", "too_old", "ts", 2))
	b.Apply([]Event{{TS: at.UnixMilli(), Profile: "p", Chain: "c", ProviderID: "x", Method: "m", Strategy: "s", SourceNode: "gw", SourceRegion: "r2", Weight: 1}})
	sync()
	if got := see(); got != "gw r2 5 too_old of ts 0 true\nonly r 1099511627776 malformed -1000 false\n" {
		t.Error(got)
	}
	if reporting, known := c.allProfiles()[0].presence.Count(at.UnixMilli(), c.skews.Load()); reporting != 1 || known != 1 {
		t.Errorf("%d of %d senders report", reporting, known)
	}

	// A later one at the other node counts too, also when nothing else has changed.
	at = at.Add(5 * time.Second)
	a.NoteRefused(refused("gw", "empty", "method", 1))
	sync()
	if got := see(); got != "gw r2 6 empty of method 0 true\nonly r 1099511627776 malformed -6000 false\n" {
		t.Error(got)
	}
	at = at.Add(59*time.Minute + 58*time.Second)
	c.Revision()
	if got := see(); got != "gw r 4 empty of method -3598000 false\n" { // what b knew of it is an hour old
		t.Error(got)
	}
	at = at.Add(5 * time.Second)
	c.Revision()
	if got := see(); got != "" {
		t.Error(got)
	}
}

// TestFaults: a code and a field come back as they went, and what is of a version to
// come is nothing.
func TestFaults(t *testing.T) {
	for _, code := range faultCodes[1:] {
		for _, field := range append([]string{""}, fieldNames...) {
			if f := FaultOf(code, field); f.Code() != code || f.Field() != field {
				t.Errorf("%s of %s came back as %s", code, field, f)
			}
		}
	}
	if f := Fault(0xffff); f.Code() != "" || f.Field() != "" {
		t.Error(f)
	}
	// No sender is told apart from others for ever by what is refused of it.
	s, err := New(Options{DedupBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxSenders + 10 {
		s.NoteRefused([]Refused{{Profile: "p", Sender: fmt.Sprint(i), Region: "r", Events: 1, Fault: FaultOf("missing", "chain")}})
	}
	if list := s.Senders(Filter{ProfileDim: {"p"}}); len(list) != maxSenders+1 || list[maxSenders].SourceNode != ids.Other || list[maxSenders].Rejected != 10 {
		t.Errorf("%d senders", len(list))
	}
}
