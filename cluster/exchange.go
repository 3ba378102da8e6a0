package cluster

import (
	"cmp"
	"slices"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// dueExchanges returns the members whose marks are to be asked for (R6): each one
// once when it appears, a random one every five seconds, and those that are called
// alive but are not heard of or do not answer, who was not asked for longest first.
func (p *protocol) dueExchanges(now time.Duration) (tasks []task) {
	ask := func(n *node) bool {
		if n.asking || p.asking >= maxExchanges {
			return false
		}
		n.asking, n.lastAsked = true, now
		p.asking++
		tasks = append(tasks, task{member: n.name})
		return true
	}
	var alive []*node
	for _, n := range p.sorted() {
		if !n.own && n.peer.alive() {
			alive = append(alive, n)
		}
	}
	if now >= p.nextExchange && len(alive) > 0 && ask(alive[p.random.IntN(len(alive))]) {
		p.nextExchange = now + exchangeEvery
	}
	slices.SortStableFunc(alive, func(a, b *node) int { return cmp.Compare(a.lastAsked, b.lastAsked) })
	for _, n := range alive {
		if now-n.lastAsked >= askEvery && (n.deaf || n.greeted != n.peer.incarnation+1 || now-p.lastHeard(n) > p.overdue()) {
			ask(n)
		}
	}
	return tasks
}

// sorted lists the nodes by name, so that a seed decides all.
func (p *protocol) sorted() []*node {
	list := make([]*node, 0, len(p.nodes))
	for _, n := range p.nodes {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
	return list
}

// overdue is how long a head may take.
func (p *protocol) overdue() time.Duration { return staleTicks * p.tick(p.size()) }

// size is the number of members that are up.
func (p *protocol) size() (n int) {
	for _, node := range p.nodes {
		if node.own || node.peer.alive() {
			n++
		}
	}
	return n
}

// currentOf is the origin that is heard of a node, nil when none is.
func (p *protocol) currentOf(n *node) *origin {
	return p.origins[store.OriginID{Node: n.name, Incarnation: n.current}]
}

func (p *protocol) lastHeard(n *node) time.Duration {
	if o := p.currentOf(n); o != nil {
		return o.headAt
	}
	return never
}

// marks lists how much is here of every origin, this one first.
func (p *protocol) marks() []wire.Status {
	list := []wire.Status{p.own}
	for _, o := range p.origins {
		if s, ok := p.has(o.id); ok {
			list = append(list, s)
		}
	}
	return list
}

// has returns how much is here of an origin, of which others may then be told. Of
// one that others only spoke of nothing may: its clock is not known here, and with
// a wrong one they would drop what they have.
func (p *protocol) has(id store.OriginID) (wire.Status, bool) {
	if id == p.self {
		return p.own, true
	}
	o := p.origins[id]
	if o == nil || o.mark == 0 && o.ahead == 0 {
		return wire.Status{ID: id}, false
	}
	return p.status(o), true
}

func (p *protocol) status(o *origin) wire.Status {
	return wire.Status{
		ID: o.id, Mark: o.mark, Ahead: o.ahead, Digest: p.store.Digest(o.id),
		Verified: o.ahead <= o.mark && !o.unverified && !o.refused && !o.pulling,
	}
}

// exchanged takes the end of an exchange.
func (p *protocol) exchanged(now time.Duration, member string, theirs []wire.Status, size int, err error) {
	n := p.node(member)
	n.asking = false
	p.asking--
	n.lastAsked = now
	p.answered(now, n, err)
	if err != nil {
		return
	}
	n.bytesIn += uint64(size)
	n.greeted = n.peer.incarnation + 1
	p.compare(now, member, theirs, true)
}

// compare looks through the marks of a member for what it has more of. fresh says
// that they are an answer, and so tell of now: a request may be an old one that
// somebody repeats.
func (p *protocol) compare(now time.Duration, member string, theirs []wire.Status, fresh bool) {
	for i := range theirs {
		t := &theirs[i]
		if t.ID == p.self {
			continue
		}
		o := p.origin(t.ID, now)
		if o == nil {
			continue
		}
		// What a living origin has just sent is on its way; its heads say what is missing.
		heard := p.alive(o) && now-o.headAt <= p.overdue() && o.head > 0
		direct := fresh && i == 0 && t.ID.Node == member // its own run comes first
		if direct && !p.superseded(o, now) {
			o.node.current = t.ID.Incarnation
			o.heard(now)
			if t.Mark > o.head {
				o.head, o.is = t.Mark, t.Digest
			}
		}
		switch {
		case t.Mark > o.mark && direct:
			at := now
			if heard {
				at += 2*gapPatience + p.jitter()
			}
			p.want(o, at, member)
		case heard:
		case t.Mark > o.mark || t.Ahead > o.ahead:
			p.want(o, now+p.jitter(), member)
		case t.Mark == o.mark && t.Ahead == o.ahead && !o.pulling:
			p.compareDigests(o, now, member, t)
		}
		if direct {
			p.verify(o, now)
		}
	}
}

// toldAddress takes note of where a member's own run says that it is asked, which its
// marks begin with. serf may have another run of that name elsewhere.
func (p *protocol) toldAddress(theirs []wire.Status, member, at string) {
	if len(theirs) == 0 || theirs[0].ID.Node != member {
		return
	}
	if o := p.origins[theirs[0].ID]; o != nil {
		o.at = at
	}
}

// compareDigests of a run that ended, of which both have the same sequences.
func (p *protocol) compareDigests(o *origin, now time.Duration, member string, t *wire.Status) {
	mine := p.status(o)
	if t.Digest == mine.Digest || o.refused || p.alive(o) || mine.Verified && !t.Verified {
		return
	}
	if mine.Verified {
		o.node.divergence++
		if mine.Digest > t.Digest { // one takes over from the other, and not both
			return
		}
	}
	// Each takes all that the other has. When neither changes by it any more, it is
	// only what has aged out that makes the difference.
	had := o.unions[member]
	switch {
	case t.Verified || had.theirs.Mark != t.Mark || had.theirs.Ahead != t.Ahead || had.theirs.Digest != t.Digest:
		o.full = true
		p.want(o, now, member)
	case had.mine != mine.Digest:
		o.unions[member] = union{had.theirs, mine.Digest}
	case mine.Digest < t.Digest:
		p.store.Calibrate(o.id, t.Digest)
	}
}

// forget drops what is known of runs that ended, once nothing that they counted is
// in any window.
func (p *protocol) forget(now time.Duration) {
	for id, o := range p.origins {
		if now-o.headAt > silentAfter && now-o.markAt > silentAfter && !o.pulling && !p.alive(o) && !p.store.Holds(id) {
			p.store.Forget(id)
			delete(p.origins, id)
		}
	}
	runs := make(map[*node]bool)
	for _, o := range p.origins {
		runs[o.node] = true
	}
	for name, n := range p.nodes {
		if !n.own && n.peer.state == "" && !runs[n] {
			delete(p.nodes, name)
		}
	}
}
