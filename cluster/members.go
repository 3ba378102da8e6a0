package cluster

import (
	"cmp"
	"time"

	"remuda/store"
)

// A peer is a member as serf knows it.
type peer struct {
	name, region, httpAddr string
	incarnation            uint64 // 0 when not known yet
	state                  string // alive, leaving, left, failed; empty when serf knows nothing
}

func (p *peer) alive() bool { return p.state == "alive" || p.state == "leaving" }

// setPeers takes over serf's list.
func (p *protocol) setPeers(list []peer) {
	for _, n := range p.nodes {
		n.peer = peer{}
	}
	for _, m := range list {
		p.node(m.name).peer = m
	}
	p.met = p.met || p.size() > 1
}

// known reports whether a node counts in the coverage: a member that did not leave,
// or one that is gone and was heard of in the last hour, or whose cells are still in
// windows.
func (p *protocol) known(n *node, now time.Duration) bool {
	switch n.peer.state {
	case "alive", "leaving":
		return true
	case "left":
		return false
	}
	return now-n.heardAt < time.Hour || p.holds(n)
}

func (p *protocol) holds(n *node) bool {
	for id := range p.origins {
		if id.Node == n.name && p.store.Holds(id) {
			return true
		}
	}
	return false
}

// members is the cluster as readers see it (R8). Staleness is judged by what was
// heard, and when, by this node's monotonic clock: what serf says explains.
func (p *protocol) members(now time.Duration) []store.Member {
	list := make([]store.Member, 0, len(p.nodes))
	for _, n := range p.sorted() {
		m := store.Member{
			Name: n.name, Region: n.peer.region, HTTPAddr: n.peer.httpAddr, State: n.peer.state, Known: p.known(n, now),
			GapsTotal: n.gaps, PullsTotal: n.pulls, DivergenceTotal: n.divergence, BytesIn: n.bytesIn, BytesOut: n.bytesOut,
		}
		if m.State == "" {
			if !m.Known && !n.own {
				continue
			}
			m.State = "failed" // serf has forgotten it, or never met it in this run
		}
		if n.own {
			m.State, m.Known, m.Reporting, m.Alone = "alive", true, true, p.seeded && p.size() == 1
			m.Incarnation, m.Sequence = p.self.Incarnation, p.store.Sequence()
			list = append(list, m)
			continue
		}
		if total := n.inline + n.pulled; total > 0 {
			m.HasInlineShare, m.InlineShare = true, float64(n.inline)/float64(total)
		}
		m.Incarnation = cmp.Or(n.peer.incarnation, n.current)
		o := p.currentOf(n)
		m.Restarting = n.peer.alive() && n.peer.incarnation > n.current && p.holds(n)
		m.Stale = true
		if o != nil {
			m.Sequence = o.mark
			m.DeltaAgeMillis = max(now-o.markAt, 0).Milliseconds()
			m.ClockSkewMillis = p.store.Skew(o.id).Milliseconds() - o.behind
			m.ClockStep = o.step
			m.Stale = now-o.headAt > p.overdue() || o.mark < o.head && now-o.markAt > p.overdue() || o.refused
		}
		if n.peer.state == "left" {
			m.Stale = false // it said goodbye: nothing is missing
		}
		m.Silent = o == nil || now-o.headAt > silentAfter || n.peer.state == "left"
		// What attention tells of is not among the nodes that report, from that moment on.
		m.Reporting = n.peer.alive() && !m.Silent && !m.Stale && !m.Restarting
		list = append(list, m)
	}
	return list
}

// catchingUp reports whether this node has not yet heard what the members that it
// met know.
func (p *protocol) catchingUp(now time.Duration) bool {
	const patience = 10 * time.Second
	if p.caughtUp || now > patience {
		p.caughtUp = true
		return false
	}
	for _, n := range p.nodes {
		if !n.own && n.peer.alive() && n.greeted == 0 {
			return true
		}
	}
	for _, o := range p.origins {
		if o.wanted || o.pulling {
			return true
		}
	}
	p.caughtUp = true
	return false
}
