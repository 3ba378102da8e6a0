package cluster

import (
	"math"
	"slices"
	"strings"

	"remuda/cluster/wire"
	"remuda/store"
)

// A publisher turns what a tick closed into the user events of a delta.
//
// A delta holds everything since a sequence some ticks before: whoever missed the
// one before is complete all the same. So a lost event costs nothing but its share
// in the next ones, and needs no pull.
type publisher struct {
	store *store.Store
	id    store.OriginID

	numbers rowNumbers
	tokens  float64 // events that may be sent now; a start is a burst
	started bool
	noRoom  bool // the delta before had none: this one gets no more than its tick's worth
	backlog []store.Stamped[store.DecisionRecord]
	offered uint64 // decisions up to this sequence were put into the backlog
}

const (
	// reach is how many sequences a delta covers when there is room for them;
	// generous is the share of the room that more than one may take.
	reach    = 3
	generous = 0.6
	// maxBurst is how many ticks' worth of events may be saved up for a burst.
	maxBurst = 4
	// maxBacklog bounds decisions that wait for room; the oldest give way.
	maxBacklog = 50
)

// publish returns the payloads of the events of the last tick.
func (p *publisher) publish(b budget, headOnly bool) [][]byte {
	h := wire.Head{
		ID: p.id, Sequence: p.store.Sequence(), Wall: p.store.Clock(), Behind: p.store.Behind(), Digest: p.store.Digest(p.id), Whole: true, Parts: 1,
	}
	p.tokens = min(p.tokens+b.parts, maxBurst*b.parts)
	if !p.started {
		p.started, p.tokens = true, maxBurst*b.parts
	}
	parts := max(1, min(int(p.tokens), wire.MaxParts))
	if p.noRoom { // what was saved up for a burst would go into every third delta of many
		parts = min(parts, int(math.Ceil(b.parts)))
	}
	var packed [][]byte
	notes := p.store.ChangedNotes(p.id, h.Sequence-min(reach, h.Sequence))
	if !headOnly {
		packed = p.changes(&h, notes, b.payload, parts)
	}
	if p.noRoom = packed == nil; p.noRoom {
		h.Whole, h.After = false, h.Sequence-1
		packed = p.latest(&h, notes, b.payload)
		p.offered = h.Sequence // the pull brings the decisions of this tick
	} else {
		p.offerDecisions(h.Sequence)
		packed = p.decisions(&h, packed, b.payload)
	}
	p.tokens -= float64(len(packed))
	events := make([][]byte, len(packed))
	for i, body := range packed {
		h.Part, h.Parts = i, len(packed)
		events[i] = append(h.Append(nil), body...)
	}
	return events
}

// changes packs all that changed since some sequences ago, nil when there is no
// room for it.
func (p *publisher) changes(h *wire.Head, notes *store.Notes, payload, parts int) [][]byte {
	for back := min(reach, h.Sequence); back > 0; back-- {
		h.After = h.Sequence - back
		limit := payload * parts
		if back > 1 {
			limit = int(float64(limit) * generous)
		}
		pk := packer{size: payload - h.Size(), limit: limit, parts: parts}
		if p.pack(&pk, notes, h) {
			return pk.bodies
		}
	}
	return nil
}

func (p *publisher) pack(pk *packer, notes *store.Notes, h *wire.Head) bool {
	pk.next()
	if !wire.EachLatest(notes, h.After, pk.add) || !wire.EachOther(notes, h.After, pk.add) {
		return false
	}
	fits := true
	thrifty := h.Sequence-h.After == 1
	var entry []byte
	p.store.Changed(p.id, h.After, store.AllTiers, func(s *store.RowState) bool {
		name := p.numbers.name(s, h.Sequence, thrifty)
		entry = wire.AppendRow(entry[:0], s, name, pk.key, true, h)
		if !pk.fits(entry) { // in the next event there is no key before
			entry = wire.AppendRow(entry[:0], s, name, "", true, h)
		}
		fits = pk.add(entry)
		if name.Keyed {
			pk.key = strings.Clone(s.Key)
		}
		return fits
	})
	return fits
}

// latest packs as many of the latest values as one event takes.
func (p *publisher) latest(h *wire.Head, notes *store.Notes, payload int) [][]byte {
	pk := packer{size: payload - h.Size(), limit: payload, parts: 1}
	pk.next()
	wire.EachLatest(notes, h.After, pk.add)
	return pk.bodies
}

// offerDecisions adds what was decided since the last call to the backlog. The
// store has chosen a few of each tick.
func (p *publisher) offerDecisions(sequence uint64) {
	p.backlog = append(p.backlog, p.store.ChangedDecisions(p.id, p.offered)...)
	p.offered = sequence
	if n := len(p.backlog) - maxBacklog; n > 0 {
		p.backlog = slices.Delete(p.backlog, 0, n)
	}
}

// decisions fills what room is left.
func (p *publisher) decisions(h *wire.Head, bodies [][]byte, payload int) [][]byte {
	last := len(bodies) - 1
	for len(p.backlog) > 0 {
		entry := wire.AppendDecision(nil, &p.backlog[0])
		if len(bodies[last])+len(entry) > payload-h.Size() {
			if len(entry) <= payload-h.Size() {
				break
			}
		} else {
			bodies[last] = append(bodies[last], entry...)
		}
		p.backlog = slices.Delete(p.backlog, 0, 1) // it had its chance, or never fits
	}
	return bodies
}

// A packer fills the bodies of some events with entries.
type packer struct {
	bodies [][]byte
	size   int // of a body
	limit  int // of all
	parts  int
	used   int
	key    string // the last in the last body
}

func (pk *packer) next() {
	pk.bodies = append(pk.bodies, nil)
	pk.key = ""
}

// fits reports whether the last body has room for an entry.
func (pk *packer) fits(entry []byte) bool {
	return len(pk.bodies[len(pk.bodies)-1])+len(entry) <= pk.size
}

// add reports whether there was room for an entry.
func (pk *packer) add(entry []byte) bool {
	if !pk.fits(entry) {
		if len(pk.bodies) == pk.parts || len(entry) > pk.size {
			return false
		}
		pk.next()
	}
	last := len(pk.bodies) - 1
	pk.used += len(entry)
	if pk.used > pk.limit {
		return false
	}
	pk.bodies[last] = append(pk.bodies[last], entry...)
	return true
}
