package rules

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// want asks for a pull, at an instant or before, from a member if the origin is
// not to be asked.
func (r *Rules) want(o *origin, at time.Duration, from string) {
	if from != "" {
		o.holder = from
		o.again = o.again || o.pull == pulling
	}
	if o.pull == settled {
		o.pull, o.pullAt = wanted, at
		return
	}
	if o.failures == 0 {
		o.pullAt = min(o.pullAt, at)
	}
}

// due asks what is to be asked now. Each question wants an answer: [Exchanged], or
// [Pulled].
func (r *Rules) due(now time.Duration) {
	for _, o := range r.wanted() {
		if now >= o.pullAt && r.pulls < MaxPulls {
			if pull, ok := r.nextPull(o, now); ok {
				o.pull = pulling
				r.pulls++
				r.do(pull)
			}
		}
	}
	r.dueExchanges(now)
}

// wanted lists the origins to pull, those that have waited longest first.
func (r *Rules) wanted() (list []*origin) {
	for _, o := range r.origins {
		if o.pull == wanted {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *origin) int {
		return cmp.Or(cmp.Compare(a.pullAt, b.pullAt), cmp.Compare(a.id.Node, b.id.Node), cmp.Compare(a.id.Incarnation, b.id.Incarnation))
	})
	return list
}

func (r *Rules) nextPull(o *origin, now time.Duration) (pull Pull, ok bool) {
	pull = Pull{ID: o.id, Member: o.id.Node, After: o.mark}
	if o.full || now-o.markAt > farBehind {
		pull.After = 0
	}
	n := o.node
	runs := !n.own && n.peer.Alive() && (n.peer.Incarnation == 0 || n.peer.Incarnation == o.id.Incarnation)
	switch {
	case !runs && o.address != "" && o.failures%2 == 0: // another run has its name in serf
		pull.Address = o.address
	case !runs || n.deaf || o.failures%2 == 1:
		pull.Member = r.somebody(o, runs)
	}
	pull.Builds = pull.Member == o.id.Node && pull.After > 0 && !o.plain && now-o.markAt < buildsFor
	if pull.Member == "" {
		o.pullAt = now + askEvery
		return pull, false
	}
	return pull, true
}

// somebody picks a member who may have an origin's state: one that answers, and is not
// the origin itself if other says so, as far as there is one.
func (r *Rules) somebody(o *origin, other bool) string {
	if n := r.nodes[o.holder]; n != nil && !n.own && n.peer.Alive() && !n.deaf && o.failures%2 == 0 {
		return o.holder
	}
	var alive, answer []string
	for _, n := range r.sorted() {
		if n.own || !n.peer.Alive() {
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
	return alive[r.random.IntN(len(alive))]
}

// began takes the header of a pull under way. The clock of an origin has to be known
// before its cells come, since it decides which of them still count.
func (r *Rules) began(now time.Duration, e Began) {
	o := r.origins[e.Pull.ID]
	if o == nil || e.Status.ID != e.Pull.ID {
		return
	}
	if e.Pull.Member == o.id.Node {
		r.setClock(o, now, e.Status.Mark, e.Wall)
	} else if o.clock.sequence == 0 {
		r.do(SetClock{o.id, e.Wall - r.clock})
	}
}

// pulled takes the end of a pull.
func (r *Rules) pulled(now time.Duration, e Pulled) {
	r.pulls--
	o := r.origins[e.Pull.ID]
	if o == nil {
		return
	}
	o.pull = wanted // until it is known whether it brought all
	r.took(o, e.Outcome, e.Digest)
	asked := r.node(e.Pull.Member)
	if e.Pull.Address == "" {
		r.answered(now, asked, e.Err)
	}
	if e.Err != nil {
		r.failed(o, now)
		return
	}
	o.pull = settled
	o.node.pulls++
	o.plain = false
	if o.id.Node == e.Pull.Member && o.id.Incarnation == o.node.peer.Incarnation { // and not a former run of it
		o.lives(now)
		o.node.current = o.id.Incarnation
		o.announced(&e.Status)
	}
	progress := e.Status.Mark > o.mark || e.Status.Ahead > o.ahead
	o.ahead = max(o.ahead, e.Status.Ahead)
	if e.Pull.After > 0 && e.Status.Mark > o.mark {
		o.node.pulled += e.Status.Mark - o.mark
	}
	o.advance(now, e.Status.Mark)
	if e.Pull.After == 0 {
		if o.unions == nil {
			o.unions = make(map[string]union)
		}
		o.unions[e.Pull.Member] = union{theirs: e.Status}
		o.full = o.full && o.again
		o.distrust()
		if e.Exact && e.Status.Verified && o.trust != refused && o.settledDigest() && o.mark == e.Status.Mark {
			r.calibrate(o, e.Status.Digest)
		}
	}
	if o.again {
		o.pull = wanted
	}
	o.again = false
	if o.mark < o.head {
		switch {
		case o.merging != nil: // which may bring it
			r.want(o, now+gapPatience+r.jitter(), "")
		case progress:
			o.failures = 0
			r.want(o, now, "")
		default:
			r.failed(o, now)
		}
		return
	}
	o.failures = 0
	r.verify(o, now)
}

// answered notes whether a member answered a request. What waited for it is asked for
// at once when it does again.
func (r *Rules) answered(now time.Duration, n *node, err error) {
	was := n.deaf
	if !errors.Is(err, ErrNoMember) { // which asked nobody
		n.deaf = errors.Is(err, ErrNoAnswer)
	}
	if !was || n.deaf {
		return
	}
	for _, o := range r.origins {
		if o.node == n && o.pull == wanted {
			o.failures, o.pullAt = 0, min(o.pullAt, now)
		}
	}
}

// failed has a pull tried again later, from somebody else every other time.
func (r *Rules) failed(o *origin, now time.Duration) {
	back := min(firstBackOff<<min(o.failures, 10), maxBackOff)
	o.failures++
	o.plain = true
	o.pull, o.pullAt = wanted, now+back+r.jitter()
	if o.failures > 8 && !r.alive(o) {
		o.pull, o.full, o.failures = settled, false, 0 // nobody has it; an exchange will say who does
	}
}
