package rules

import (
	"cmp"
	"slices"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// dueExchanges asks for the marks of members (R6): of each once when it appears, of a
// random one every five seconds, and of those that are called alive but are not heard of
// or do not answer, who was not asked for longest first.
func (r *Rules) dueExchanges(now time.Duration) {
	ask := func(n *node) bool {
		if n.asking || r.asking >= maxExchanges {
			return false
		}
		n.asking, n.lastAsked = true, now
		r.asking++
		r.do(Exchange{n.name})
		return true
	}
	var alive []*node
	for _, n := range r.sorted() {
		if !n.own && n.peer.Alive() {
			alive = append(alive, n)
		}
	}
	if now >= r.nextExchange && len(alive) > 0 && ask(alive[r.random.IntN(len(alive))]) {
		r.nextExchange = now + exchangeEvery
	}
	slices.SortStableFunc(alive, func(a, b *node) int { return cmp.Compare(a.lastAsked, b.lastAsked) })
	for _, n := range alive {
		if now-n.lastAsked >= askEvery && (n.deaf || n.greeted != n.peer.Incarnation+1 || now-r.lastHeard(n) > r.overdue()) {
			ask(n)
		}
	}
}

// overdue is how long a head may take.
func (r *Rules) overdue() time.Duration { return staleTicks * r.tick(r.Size()) }

// currentOf is the origin that is heard of a node, nil when none is.
func (r *Rules) currentOf(n *node) *origin {
	return r.origins[store.OriginID{Node: n.name, Incarnation: n.current}]
}

func (r *Rules) lastHeard(n *node) time.Duration {
	if o := r.currentOf(n); o != nil {
		return o.headAt
	}
	return never
}

// exchanged takes the end of an exchange.
func (r *Rules) exchanged(now time.Duration, e Exchanged) {
	n := r.node(e.Exchange.Member)
	n.asking = false
	r.asking--
	n.lastAsked = now
	r.answered(now, n, e.Err)
	if e.Err != nil {
		return
	}
	n.greeted = n.peer.Incarnation + 1
	r.compare(now, n.name, e.Marks, true)
}

// compare looks through the marks of a member for what it has more of. fresh says
// that they are an answer, and so tell of now: a request may be an old one that
// somebody repeats.
func (r *Rules) compare(now time.Duration, member string, theirs []wire.Status, fresh bool) {
	for i := range theirs {
		t := &theirs[i]
		if t.ID == r.self {
			continue
		}
		o := r.origin(t.ID, now)
		if o == nil {
			continue
		}
		// What a living origin has just sent is on its way; its heads say what is missing.
		heard := r.alive(o) && now-o.headAt <= r.overdue() && o.head > 0
		direct := fresh && i == 0 && t.ID.Node == member // its own run comes first
		if direct && !r.superseded(o, now) {
			o.node.current = t.ID.Incarnation
			o.lives(now)
			o.announced(t)
		}
		switch {
		case t.Mark > o.mark && direct:
			at := now
			if heard {
				at += 2*gapPatience + r.jitter()
			}
			r.want(o, at, member)
		case heard:
		case t.Mark > o.mark || t.Ahead > o.ahead:
			r.want(o, now+r.jitter(), member)
		case t.Mark == o.mark && t.Ahead == o.ahead && o.pull != pulling && o.merging == nil:
			r.compareDigests(o, now, member, t)
		}
		if direct {
			r.verify(o, now)
		}
	}
}

// announced takes over what a run says of itself.
func (o *origin) announced(s *wire.Status) {
	if s.Mark > o.head {
		o.head, o.headDigest = s.Mark, s.Digest
	}
}

// toldAddress takes note of where a member's own run says that it is asked, which its
// marks begin with. serf may have another run of that name elsewhere.
func (r *Rules) toldAddress(e Asked) {
	if len(e.Marks) == 0 || e.Marks[0].ID.Node != e.Member {
		return
	}
	if o := r.origins[e.Marks[0].ID]; o != nil {
		o.address = e.Address
	}
}

// compareDigests of a run that ended, of which both have the same sequences.
//
// Say that both have all up to 90 of a run. Here its digest is 17, a verified one; the
// member says 23 and that it is not verified: it will come and ask, and nothing is done.
// If it says that 23 is verified too, that is a divergence, and of the two this node, with
// 17, pulls all that the other has. It would not if it had 23: one is enough.
//
// If neither is verified, each pulls all that the other has, and the digests become say 31
// here and 36 there. At the next exchange the member says something other than when its
// state was taken, and all is pulled again. When it says 36 twice, and pulling changes
// nothing here either, both have all that can be had, and only what has aged out before
// makes the difference: the one with 31 takes over 36.
func (r *Rules) compareDigests(o *origin, now time.Duration, member string, t *wire.Status) {
	mine := o.status()
	if t.Digest == mine.Digest || o.trust == refused || r.alive(o) || mine.Verified && !t.Verified {
		return
	}
	if mine.Verified {
		o.node.divergence++
		if mine.Digest > t.Digest {
			return
		}
	}
	had := o.unions[member]
	switch {
	case t.Verified || had.theirs.Mark != t.Mark || had.theirs.Ahead != t.Ahead || had.theirs.Digest != t.Digest:
		o.full = true
		r.want(o, now, member)
	case had.mine != mine.Digest:
		o.unions[member] = union{had.theirs, mine.Digest}
	case mine.Digest < t.Digest:
		o.digest = t.Digest
		r.do(Calibrate{o.id, t.Digest})
	}
}
