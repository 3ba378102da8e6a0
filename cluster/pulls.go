package cluster

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// want asks for a pull, at an instant or before, from a member if the origin is
// not to be asked.
func (p *protocol) want(o *origin, at time.Duration, from string) {
	if from != "" {
		o.from = from
		o.again = o.again || o.pulling
	}
	if !o.wanted {
		o.wanted, o.wantAt = true, at
		return
	}
	if o.fails == 0 {
		o.wantAt = min(o.wantAt, at)
	}
}

// A task is something to be asked of a member: its marks, or the state of an
// origin after a sequence.
type task struct {
	member string
	at     string // address, if it is not that of the member
	pull   bool
	id     store.OriginID
	after  uint64
	builds bool // the answer may leave out what follows from all up to after
}

// due returns what is to be asked now. Each task wants an answer: exchanged, or
// pulled.
func (p *protocol) due(now time.Duration) (tasks []task) {
	for _, o := range p.wanted() {
		if !o.pulling && now >= o.wantAt && p.pulls < maxPulls {
			if t, ok := p.pullTask(o, now); ok {
				o.pulling = true
				p.pulls++
				tasks = append(tasks, t)
			}
		}
	}
	return append(tasks, p.dueExchanges(now)...)
}

// wanted lists the origins to pull, those that have waited longest first.
func (p *protocol) wanted() (list []*origin) {
	for _, o := range p.origins {
		if o.wanted {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *origin) int {
		return cmp.Or(cmp.Compare(a.wantAt, b.wantAt), cmp.Compare(a.id.Node, b.id.Node), cmp.Compare(a.id.Incarnation, b.id.Incarnation))
	})
	return list
}

func (p *protocol) pullTask(o *origin, now time.Duration) (t task, ok bool) {
	t = task{pull: true, id: o.id, after: o.mark}
	if o.full || now-o.markAt > farBehind {
		t.after = 0
	}
	t.member = o.id.Node
	n := p.nodes[t.member]
	runs := !n.own && n.peer.alive() && (n.peer.incarnation == 0 || n.peer.incarnation == o.id.Incarnation)
	switch {
	case !runs && o.at != "" && o.fails%2 == 0: // another run has its name in serf
		t.at = o.at
	case !runs || n.deaf || o.fails%2 == 1:
		t.member = p.somebody(o, runs)
	}
	t.builds = t.member == o.id.Node && t.after > 0 && !o.plain && now-o.markAt < buildsFor
	if t.member == "" {
		o.wantAt = now + askEvery
		return t, false
	}
	return t, true
}

// somebody picks a member who may have an origin's state: one that answers, and is not
// the origin itself if other says so, as far as there is one.
func (p *protocol) somebody(o *origin, other bool) string {
	if n := p.nodes[o.from]; n != nil && !n.own && n.peer.alive() && !n.deaf && o.fails%2 == 0 {
		return o.from
	}
	var alive, answer []string
	for _, n := range p.sorted() {
		if n.own || !n.peer.alive() {
			continue
		}
		alive = append(alive, n.name)
		if !n.deaf && !(other && n == o.node) {
			answer = append(answer, n.name)
		}
	}
	if len(answer) > 0 {
		alive = answer
	}
	if len(alive) == 0 {
		return ""
	}
	return alive[p.random.IntN(len(alive))]
}

// pulling takes the header of a pull under way. The clock of an origin has to be
// known before its cells come, since it decides which of them still count.
func (p *protocol) pulling(now time.Duration, t task, s *wire.Status, wall int64) {
	o := p.origins[t.id]
	if o == nil || s.ID != t.id {
		return
	}
	if t.member == t.id.Node {
		p.setClock(o, now, s.Mark, wall)
	} else if o.clock == 0 {
		p.store.SetClock(o.id, wall)
	}
}

// merged takes entries of a pull under way and reports whether all could be merged.
func (p *protocol) merged(t task, e *wire.Entries) bool {
	o := p.origins[t.id]
	return o != nil && p.merge(o, e, true)
}

// A pullResult is what came of a pull.
type pullResult struct {
	wire.Status
	exact bool // the status was the same when the answer ended
	bytes int
	err   error
}

// pulled takes the end of a pull.
func (p *protocol) pulled(now time.Duration, t task, r pullResult) {
	p.pulls--
	o := p.origins[t.id]
	if o == nil {
		return
	}
	o.pulling = false
	asked := p.node(t.member)
	asked.bytesIn += uint64(r.bytes)
	if t.at == "" {
		p.answered(now, asked, r.err)
	}
	if r.err != nil {
		p.failed(o, now)
		return
	}
	o.node.pulls++
	o.plain = false
	if o.id.Node == t.member && o.id.Incarnation == o.node.peer.incarnation { // and not a former run of it
		o.heard(now)
		o.node.current = o.id.Incarnation
		if r.Mark > o.head {
			o.head, o.is = r.Mark, r.Digest
		}
	}
	progress := r.Mark > o.mark || r.Ahead > o.ahead
	o.ahead = max(o.ahead, r.Ahead)
	if t.after > 0 && r.Mark > o.mark {
		o.node.pulled += r.Mark - o.mark
	}
	o.advance(now, r.Mark)
	if t.after == 0 {
		if o.unions == nil {
			o.unions = make(map[string]union)
		}
		o.unions[t.member] = union{theirs: r.Status}
		o.full = o.full && o.again
		o.unverified = true
		if r.exact && r.Verified && o.ahead <= o.mark && o.mark == r.Mark {
			p.store.Calibrate(o.id, r.Digest)
			o.unverified = false
		}
	}
	o.wanted = o.again
	o.again = false
	if o.mark < o.head {
		if !progress {
			p.failed(o, now)
			return
		}
		o.fails = 0
		p.want(o, now, "")
		return
	}
	o.fails = 0
	p.verify(o, now)
}

// answered notes whether a member answered a request. What waited for it is asked for
// at once when it does again.
func (p *protocol) answered(now time.Duration, n *node, err error) {
	was := n.deaf
	if !errors.Is(err, errNoMember) { // which asked nobody
		n.deaf = errors.Is(err, errNoAnswer)
	}
	if !was || n.deaf {
		return
	}
	for _, o := range p.origins {
		if o.node == n && o.wanted && !o.pulling {
			o.fails, o.wantAt = 0, min(o.wantAt, now)
		}
	}
}

// failed has a pull tried again later, from somebody else every other time.
func (p *protocol) failed(o *origin, now time.Duration) {
	back := min(firstBackOff<<min(o.fails, 10), maxBackOff)
	o.fails++
	o.plain = true
	o.wanted, o.wantAt = true, now+back+p.jitter()
	if o.fails > 8 && !p.alive(o) {
		o.wanted, o.full, o.fails = false, false, 0 // nobody has it; an exchange will say who does
	}
}
