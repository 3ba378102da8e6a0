package rules

import (
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// Two processes may have one name by mistake. The younger one, which has the higher
// incarnation, finds out and ends (R10). What is left of a former run of this node
// must not be taken for a rival: its heads may come long after it was killed, many at
// a time, when networks heal. A rival is a process that lives: it answers at the
// address that it tells the members, or, where that cannot be reached, its heads keep
// coming and its clock goes on with them.

// signs are those of life that an older run of this node's name gives.
type signs struct {
	sequence    uint64        // the latest head's; 0 while there was none
	first, last time.Duration // of the heads that are as new as the first
	ahead       int64         // by how much the clock in the first was ahead of first, in ms
}

const (
	// rivalPeriod is for how long heads of a rival have to come, and rivalSilence the
	// longest time between two: members send each other what was lost every 15 s.
	rivalPeriod  = 30 * time.Second
	rivalSilence = 20 * time.Second
)

// watchRival finds out from a head whether an older process uses this node's name.
// Of a run that ended, heads only come that get older and older.
func (r *Rules) watchRival(now time.Duration, o *origin, h *wire.Head) {
	v := &o.signs
	if !o.node.own || o.id.Incarnation >= r.self.Incarnation || h.Sequence <= v.sequence {
		return
	}
	ahead, slack := h.Wall-now.Milliseconds(), r.overdue().Milliseconds()
	switch {
	case v.sequence == 0 || now-v.last > rivalSilence || ahead > v.ahead+slack:
		v.first, v.last, v.ahead = now, now, ahead
	case ahead >= v.ahead-slack:
		v.last = now
		if now-v.first >= rivalPeriod {
			r.rival = o.id
		}
	}
	v.sequence = h.Sequence
}

// answeredBy takes note of who answers at an address that is told under this node's
// name.
func (r *Rules) answeredBy(e Met) {
	if e.ID.Node == r.self.Node && e.ID.Incarnation < r.self.Incarnation {
		r.rival, r.rivalAddress = e.ID, e.Address
	}
}

// Rival is an older process of this node's name, and where it answers over HTTP, if it
// does. This node, the younger, has to go.
func (r *Rules) Rival() (id store.OriginID, address string, yields bool) {
	return r.rival, r.rivalAddress, r.rival.Node != ""
}
