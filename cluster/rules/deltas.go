package rules

import (
	"time"

	"remuda/cluster/wire"
)

// A delta is a user event that is being merged, or waits for it.
type delta struct {
	head       wire.Head
	entries    wire.Entries
	superseded bool // when it came, a newer run of its node was there
	complete   bool // what it builds on was here when its merge began
}

// heard takes a user event of a member.
func (r *Rules) heard(now time.Duration, message []byte) {
	h, entries, err := wire.ReadDelta(message)
	if err != nil {
		r.ignored++ // R13: damaged, or of a version to come
		return
	}
	if h.ID == r.self {
		return
	}
	o := r.origin(h.ID, now)
	if o == nil {
		r.ignored++
		return
	}
	superseded := r.superseded(o, now)
	r.setClock(o, now, h.Sequence, h.Wall)
	if !superseded {
		o.lives(now)
		o.node.current = h.ID.Incarnation
		if h.Sequence > o.head {
			if h.Whole && h.After > max(o.mark, o.head) {
				o.node.gaps++
			}
			o.head, o.headDigest = h.Sequence, h.Digest
			o.clock.follow(&h, r.clock)
		}
	}
	r.watchRival(now, o, &h)
	if len(o.waiting) == maxWaiting {
		r.ignored++
		o.waiting = append(o.waiting[:0], o.waiting[1:]...)
	}
	o.waiting = append(o.waiting, &delta{head: h, entries: entries, superseded: superseded})
	r.mergeNext(o)
}

// mergeNext has the next delta merged unless one is.
func (r *Rules) mergeNext(o *origin) {
	if o.merging != nil || len(o.waiting) == 0 {
		return
	}
	d := o.waiting[0]
	o.waiting[0] = nil
	o.waiting = o.waiting[1:]
	d.complete = o.mark >= d.head.After
	o.merging = d
	r.do(Merge{o.id, &d.entries, d.complete})
}

// merged takes the end of the merge of a delta.
func (r *Rules) merged(now time.Duration, e Merged) {
	o := r.origins[e.ID]
	if o == nil || o.merging == nil {
		return
	}
	d := o.merging
	o.merging = nil
	r.took(o, e.Outcome, e.Digest)
	h := &d.head
	switch {
	case d.superseded, h.Sequence <= o.mark: // R3
	case !h.Whole:
		r.want(o, now, "")
	case e.Outcome.Whole && d.complete:
		o.gotPart(h)
		if o.part.got == 1<<h.Parts-1 { // R4
			o.node.inline += h.Sequence - o.mark
			o.advance(now, h.Sequence)
		} else {
			r.want(o, now+r.patience(h), "")
		}
	case d.complete: // nothing under way explains it: the origin has to say it in full
		o.plain = true
		r.want(o, now, "")
	default: // R5: what came without building on what is missing was merged
		r.want(o, now+r.patience(h), "")
	}
	r.verify(o, now)
	r.mergeNext(o)
}

// took takes note of what came of merging.
func (r *Rules) took(o *origin, outcome Outcome, digest uint64) {
	o.ahead = max(o.ahead, outcome.Ahead)
	o.digest = digest
	if outcome.Refused {
		o.trust = refused
	}
}

// patience is how long to wait for the missing part of a delta. When it reached
// back over several sequences, the next one is likely to bring the part again.
func (r *Rules) patience(h *wire.Head) time.Duration {
	wait := gapPatience + r.jitter()
	if h.Sequence-h.After > 1 {
		wait += r.tick(r.Size())
	}
	return wait
}

func (o *origin) gotPart(h *wire.Head) {
	if o.part.sequence != h.Sequence || o.part.after != h.After {
		o.part.sequence, o.part.after, o.part.got = h.Sequence, h.After, 0
	}
	o.part.got |= 1 << h.Part
}
