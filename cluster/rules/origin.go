package rules

import (
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// An origin is what is known of one run of another node.
//
// Say that its ticks 1 to 40 have come, of 41 only one part of two, and then 42, which
// reaches back to 41. The mark is 40: all up to it is in the store. What came of 41 and 42
// is there too, as far as it builds on nothing else, so the newest stamp in the store,
// ahead, is 42. The head is 42, since that was announced. From 40 to 42 is what is pulled.
type origin struct {
	id    store.OriginID
	node  *node
	signs signs

	mark       uint64 // everything stamped up to it is in the store
	ahead      uint64 // newest stamp of anything that is
	head       uint64 // newest sequence announced
	headDigest uint64 // of the run, as its head says
	digest     uint64 // as it was here when a merge last ended
	trust      trust

	clock clock

	headAt, markAt time.Duration // last sign of life; last advance of the mark

	part struct { // what has come of a delta of several events
		sequence, after uint64
		got             uint8
	}
	merging *delta   // what is being merged of what was heard
	waiting []*delta // what came meanwhile

	pull     pullState
	pullAt   time.Duration // wanted: not before
	full     bool          // all of it is to be pulled
	again    bool          // asked for from somebody else while a pull ran
	holder   string        // who has more, if not the origin
	address  string        // where the run itself says that it is asked; empty when it did not
	plain    bool          // the next pull is to leave nothing out
	failures int           // of pulls, since one brought something
	unions   map[string]union
}

// A pullState says whether something of a run is to be pulled.
//
//	          want                  due, and a turn is free
//	settled ────────────▶ wanted ───────────────────────────▶ pulling
//	  ▲  ▲                 │   ▲                               │   │
//	  │  └─────────────────┘   └───────────────────────────────┘   │
//	  │   a delta brought it    it failed, did not bring all, or   │
//	  │                         somebody else has more             │
//	  └────────────────────────────────────────────────────────────┘
//	      it brought all, or failed so often that nobody has it
type pullState uint8

const (
	settled pullState = iota
	wanted
	pulling
)

// A trust says what the digest of a run is worth here.
//
//	verified ◀──────────────── unverified ◀── a full pull, a checkpoint
//	    │    the origin's own,      │         that was not exact
//	    │    or that of a member    │
//	    │    who has verified it    │
//	    └──────────▶ refused ◀──────┘
//	      no room for something: it stays so
type trust uint8

const (
	verified   trust = iota // that of all that ever was, up to the mark
	unverified              // not all that ever was has come
	refused                 // something did not fit into the store
)

func (o *origin) distrust() {
	if o.trust == verified {
		o.trust = unverified
	}
}

// A union is what a member had when all of that was taken from it, and the digest here
// when that was last compared with the member's.
//
// Two members a and b have different parts of a run that ended: a lacks a row that b has,
// and the other way round, and each says 7 for its mark. Their digests differ, so a pulls
// all that b has, and b all that a has. Now both have both rows, and what they say of their
// digests is the same: done. If it is not, though neither changes by pulling any more, one
// of them has what the other can no more be given, since it aged out there before: then
// the one with the smaller digest takes over the other's, and there is peace.
type union struct {
	theirs wire.Status
	mine   uint64 // 0 before it was compared
}

// origin returns the record of a run, nil when there are too many.
func (r *Rules) origin(id store.OriginID, now time.Duration) *origin {
	o := r.origins[id]
	if o == nil {
		if len(r.origins) >= wire.MaxOrigins {
			return nil
		}
		o = &origin{id: id, node: r.node(id.Node), headAt: never, markAt: now}
		r.origins[id] = o
	}
	return o
}

// remember begins with what a checkpoint brought back.
func (r *Rules) remember(now time.Duration, e Remembered) {
	for _, s := range e.List {
		if s.ID == r.self {
			continue
		}
		if o := r.origin(s.ID, now-e.Age); o != nil {
			o.mark, o.ahead, o.digest = s.Mark, s.Ahead, s.Digest
			if !s.Verified {
				o.distrust()
			}
		}
	}
}

// superseded reports whether a newer run of the node is there (R1). A run whose
// number is lower because a clock went back is, once the newer one is silent, the
// current one all the same.
func (r *Rules) superseded(o *origin, now time.Duration) bool {
	if o.id.Incarnation >= o.node.current {
		return false
	}
	if o.node.own {
		return true
	}
	newer := r.currentOf(o.node)
	return newer != nil && now-newer.headAt < supersedes
}

// alive reports whether an origin is the running one of a member.
func (r *Rules) alive(o *origin) bool {
	return o.id.Incarnation == o.node.current && o.node.peer.Alive() &&
		(o.node.peer.Incarnation == 0 || o.node.peer.Incarnation == o.id.Incarnation)
}

func (o *origin) lives(now time.Duration) {
	o.headAt = max(o.headAt, now)
	o.node.heardAt = max(o.node.heardAt, now)
}

func (o *origin) advance(now time.Duration, sequence uint64) {
	if sequence > o.mark {
		o.mark, o.markAt = sequence, now
	}
	if o.mark >= o.head && !o.full && o.pull == wanted {
		o.pull = settled
	}
}

// status is how much is here of an origin.
func (o *origin) status() wire.Status {
	return wire.Status{
		ID: o.id, Mark: o.mark, Ahead: o.ahead, Digest: o.digest,
		Verified: o.ahead <= o.mark && o.trust == verified && o.pull != pulling && o.merging == nil,
	}
}

// settledDigest reports whether the digest here is that of the mark, and nothing is
// being merged that changes it.
func (o *origin) settledDigest() bool {
	return o.ahead <= o.mark && o.pull != pulling && o.merging == nil
}

// verify compares the digest of an origin whose last head is all here (R6).
func (r *Rules) verify(o *origin, now time.Duration) {
	if o.mark != o.head || !o.settledDigest() || o.trust == refused || o.head == 0 {
		return
	}
	switch {
	case o.digest == o.headDigest:
		o.trust = verified
	case o.trust == unverified:
		r.calibrate(o, o.headDigest)
	case !o.full:
		o.node.divergence++
		o.full = true
		r.want(o, now, "")
	}
}

// calibrate takes over a digest as that of all that ever was.
func (r *Rules) calibrate(o *origin, digest uint64) {
	o.digest, o.trust = digest, verified
	r.do(Calibrate{o.id, digest})
}

// forget drops what is known of runs that ended, once nothing that they counted is
// in any window.
func (r *Rules) forget(now time.Duration, held map[store.OriginID]bool) {
	for id, o := range r.origins {
		busy := o.pull == pulling || o.merging != nil
		if now-o.headAt > silentAfter && now-o.markAt > silentAfter && !busy && !r.alive(o) && !held[id] {
			r.do(Forget{id})
			delete(r.origins, id)
		}
	}
	runs := make(map[*node]bool)
	for _, o := range r.origins {
		runs[o.node] = true
	}
	for name, n := range r.nodes {
		if !n.own && n.peer.State == "" && !runs[n] {
			delete(r.nodes, name)
		}
	}
}
