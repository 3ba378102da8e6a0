package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// A node is a name, and what serf says of it.
type node struct {
	name    string
	peer    wire.Peer
	current uint64 // incarnation of the run that is heard of
	own     bool

	asking    bool   // an exchange is running
	deaf      bool   // the last request to it had no answer
	greeted   uint64 // incarnation of the run whose marks have come, and 1
	lastAsked time.Duration
	heardAt   time.Duration // when a head of any of its runs last came

	gaps, pulls, inline, pulled, divergence uint64
}

func (r *Rules) node(name string) *node {
	n := r.nodes[name]
	if n == nil {
		n = &node{name: name, lastAsked: never, heardAt: never}
		r.nodes[name] = n
	}
	return n
}

// sorted lists the nodes by name, so that a seed decides all.
func (r *Rules) sorted() []*node {
	list := make([]*node, 0, len(r.nodes))
	for _, n := range r.nodes {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
	return list
}

// setMembers takes over serf's list.
func (r *Rules) setMembers(e Members) {
	for _, n := range r.nodes {
		n.peer = wire.Peer{}
	}
	for _, m := range e.List {
		r.node(m.Name).peer = m
	}
	r.seeded, r.ownSeed = e.Seeded, e.OwnSeed
	r.met = r.met || r.Size() > 1
}

// Size is the number of members that are up.
func (r *Rules) Size() (n int) {
	for _, node := range r.nodes {
		if node.own || node.peer.Alive() {
			n++
		}
	}
	return n
}

// Statuses lists how much is here of every origin of which others may be told, but this
// node's own.
func (r *Rules) Statuses() []wire.Status {
	list := make([]wire.Status, 0, len(r.origins))
	for id := range r.origins {
		if s, told := r.Status(id); told {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b wire.Status) int {
		return cmp.Or(cmp.Compare(a.ID.Node, b.ID.Node), cmp.Compare(a.ID.Incarnation, b.ID.Incarnation))
	})
	return list
}

// Status is how much is here of an origin, and whether others may be told. Of one that
// others only spoke of they may not: its clock is not known here, and with a wrong one
// they would drop what they have. Of one that nobody spoke of it has no name.
func (r *Rules) Status(id store.OriginID) (s wire.Status, told bool) {
	o := r.origins[id]
	if o == nil {
		return wire.Status{}, false
	}
	return o.status(), o.mark > 0 || o.ahead > 0
}

// Peers lists all nodes that are known, as serf knows them, by name, this one too.
func (r *Rules) Peers() []wire.Peer {
	list := make([]wire.Peer, 0, len(r.nodes))
	for _, n := range r.sorted() {
		p := n.peer
		p.Name = n.name
		list = append(list, p)
	}
	return list
}

// Pulling is how many pulls run.
func (r *Rules) Pulling() int { return r.pulls }

// Counts are what has been counted since the start, of all nodes together.
type Counts struct {
	Inline     uint64 // sequences that came whole by gossip
	Pulled     uint64 // sequences that were pulled
	Pulls      uint64
	Gaps       uint64 // sequences found missing
	Divergence uint64 // times that digests differed
	Ignored    uint64 // messages that could not be read, or had no room
}

// Counts returns what has been counted.
func (r *Rules) Counts() Counts {
	all := Counts{Ignored: r.ignored}
	for _, n := range r.nodes {
		all.Inline += n.inline
		all.Pulled += n.pulled
		all.Pulls += n.pulls
		all.Gaps += n.gaps
		all.Divergence += n.divergence
	}
	return all
}

// Facts are what the store knows besides.
type Facts interface {
	Sequence() uint64
	Holds(id store.OriginID) bool         // whether it has cells of a run
	Skew(id store.OriginID) time.Duration // by how much the clock of a run is ahead
}

// known reports whether a node counts in the coverage: a member that did not leave,
// or one that is gone and was heard of in the last hour, or whose cells are still in
// windows.
func (r *Rules) known(n *node, now time.Duration, facts Facts) bool {
	switch n.peer.State {
	case "alive", "leaving":
		return true
	case "left":
		return false
	}
	return now-n.heardAt < time.Hour || r.holds(n, facts)
}

func (r *Rules) holds(n *node, facts Facts) bool {
	for id := range r.origins {
		if id.Node == n.name && facts.Holds(id) {
			return true
		}
	}
	return false
}

// Members is the cluster as readers see it (R8). Staleness is judged by what was
// heard, and when, by this node's monotonic clock: what serf says explains.
func (r *Rules) Members(now time.Duration, facts Facts) []store.Member {
	list := make([]store.Member, 0, len(r.nodes))
	for _, n := range r.sorted() {
		m := store.Member{
			Name: n.name, Region: n.peer.Region, HTTPAddr: n.peer.HTTPAddr, State: n.peer.State, Known: r.known(n, now, facts),
			GapsTotal: n.gaps, PullsTotal: n.pulls, DivergenceTotal: n.divergence,
		}
		if m.State == "" {
			if !m.Known && !n.own {
				continue
			}
			m.State = "failed" // serf has forgotten it, or never met it in this run
		}
		if n.own {
			m.State, m.Known, m.Reporting, m.Alone = "alive", true, true, r.seeded && r.Size() == 1
			m.Incarnation, m.Sequence = r.self.Incarnation, facts.Sequence()
			list = append(list, m)
			continue
		}
		if total := n.inline + n.pulled; total > 0 {
			m.HasInlineShare, m.InlineShare = true, float64(n.inline)/float64(total)
		}
		m.Incarnation = cmp.Or(n.peer.Incarnation, n.current)
		o := r.currentOf(n)
		m.Restarting = n.peer.Alive() && n.peer.Incarnation > n.current && r.holds(n, facts)
		m.Stale = true
		if o != nil {
			m.Sequence = o.mark
			m.DeltaAgeMillis = max(now-o.markAt, 0).Milliseconds()
			m.ClockSkewMillis = facts.Skew(o.id).Milliseconds() - o.clock.behind
			m.ClockStep = o.clock.step
			m.Stale = now-o.headAt > r.overdue() || o.mark < o.head && now-o.markAt > r.overdue() || o.trust == refused
		}
		if n.peer.State == "left" {
			m.Stale = false // it said goodbye: nothing is missing
		}
		m.Silent = o == nil || now-o.headAt > silentAfter || n.peer.State == "left"
		// What attention tells of is not among the nodes that report, from that moment on.
		m.Reporting = n.peer.Alive() && !m.Silent && !m.Stale && !m.Restarting
		list = append(list, m)
	}
	return list
}

// aloneFor is how long a node that met nobody is not ready: time to find the members
// that run. Then it is, since it may be the first: others may be started only when it
// is ready, or be told its address only then.
const aloneFor = 30 * time.Second

// Reasons says why this node should not be asked yet; nil when it may be.
func (r *Rules) Reasons(now time.Duration) []string {
	_, _, yields := r.Rival()
	switch {
	case r.catchingUp(now):
		return []string{"catching_up"}
	case yields:
		return []string{"name_taken"}
	case r.seeded && !r.ownSeed && !r.met && now < aloneFor:
		return []string{"node_alone"}
	}
	return nil
}

// catchingUp reports whether this node has not yet heard what the members that it
// met know.
func (r *Rules) catchingUp(now time.Duration) bool {
	const patience = 10 * time.Second
	if r.caughtUp || now > patience {
		r.caughtUp = true
		return false
	}
	for _, n := range r.nodes {
		if !n.own && n.peer.Alive() && n.greeted == 0 {
			return true
		}
	}
	for _, o := range r.origins {
		if o.pull != settled {
			return true
		}
	}
	r.caughtUp = true
	return false
}

// Describe tells what is known of a run, for who looks for a fault.
func (r *Rules) Describe(id store.OriginID) string {
	o := r.origins[id]
	if o == nil {
		return "unknown"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%+v head %d heard %v trust %v pull %v at %v full %v from %s failures %d merging %v waiting %d;", o.status(), o.head, o.headAt,
		o.trust, o.pull, o.pullAt, o.full, o.holder, o.failures, o.merging != nil, len(o.waiting))
	for _, n := range r.sorted() {
		fmt.Fprintf(&b, " %s:%s/%d", n.name, n.peer.State, n.current)
	}
	return b.String()
}
