package store

import (
	"strings"
	"sync"
	"sync/atomic"

	"remuda/store/presence"
)

// A profile is a tenant: what the store holds besides series, which are in the
// shards. Nothing of one profile is visible in another.
type profile struct {
	store    *Store
	name     string
	users    atomic.Int64 // batches that hold the profile
	series   atomic.Int64
	overflow atomic.Uint64 // calls that lost dimensions to a cap

	feed     feed
	changes  changeRing
	presence *presence.Roll // its mutex may be taken under mu, and under that of a chain

	// reportsRevision is the revision of the newest change of a latest value, near
	// enough: of two changes at once either may be last, and both are counted above
	// any cursor given out before them.
	reportsRevision atomic.Uint64

	mu          sync.RWMutex // taken before a sender's mutex, never together with a chain's
	chains      map[string]*chainReports
	senders     map[string]*sender
	awaySenders map[awayKey]awaySender // as others know them
	awayTallies map[*origin]*tally     // what others counted besides rows
	closedTally tally                  // what others know of this node
}

// tally is what an origin counted in a profile besides rows.
type tally struct {
	Tally
	stamp uint32 // 0: never closed
}

func newProfile(s *Store, name string) *profile {
	p := &profile{store: s, name: name, chains: make(map[string]*chainReports), senders: make(map[string]*sender)}
	p.awaySenders, p.awayTallies = make(map[awayKey]awaySender), make(map[*origin]*tally)
	p.presence = presence.New()
	p.feed.sequence = &s.feedSequence
	p.changes.sequence = firstNumber(s.options.Incarnation)
	return p
}

func (p *profile) release() { p.users.Add(-1) }

// empty reports whether nothing is left that a reader could see. The feed goes
// with the profile: senders, which are known for an hour, outlive its decisions.
func (p *profile) empty() bool {
	if p.series.Load() > 0 {
		return false
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.chains) == 0 && len(p.senders) == 0 && len(p.awaySenders) == 0
}

// firstNumber is where a run begins to number things, so that no two runs give
// out the same number. It leaves a thousand for every millisecond.
func firstNumber(incarnation uint64) uint64 {
	if incarnation > 1<<42 {
		return 0 // not a time; and the product would not be exact in JSON
	}
	return incarnation * 1000
}

// tallies adds up what nodes counted in the profile besides rows.
func (p *profile) tallies(nodes []string) (seen, shown, overflow uint64) {
	if matches(nodes, p.store.options.Node) {
		seen, shown, overflow = p.feed.seen.Load(), p.feed.shown.Load(), p.overflow.Load()
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	for o, t := range p.awayTallies {
		if matches(nodes, o.name) {
			seen += t.Seen
			shown += t.Shown
			overflow += t.Overflow
		}
	}
	return seen, shown, overflow
}

// report does for events what is not counting: who sent them, the feed, latest
// values. A sender whose events were all duplicates is alive all the same.
func (s *Store) report(b *batch, events []Event, now int64, body uint64) {
	begin := 0
	for i := range b.runs {
		r := &b.runs[i]
		from, to := begin, r.end
		begin = to
		if r.profile == nil {
			continue
		}
		for j := from; j < to; j++ {
			switch b.verdicts[j] {
			case duplicate:
				r.said.unsee(&events[j], now/1000)
			case accepted:
				if !b.reports {
					continue // most of a busy gateway's events are not even looked at
				}
				if e := &events[j]; e.Kind != Decision {
					r.profile.latest(e)
				}
			}
		}
		r.profile.feed.seen.Add(r.said.decisions)
		if r.sender.add(&r.said, body, now, s.clock.shown(now)) {
			r.profile.presence.Wake(r.sender.name, r.sender, now)
		}
	}
	for _, o := range b.offers {
		if b.verdicts[o.event] == accepted {
			o.feed.offer(&events[o.event], o.gate, s.self)
		}
	}
	s.revision.Add(1)
}

// chain returns the reports of a chain, made when there are none yet.
func (p *profile) chain(name string) *chainReports {
	p.mu.RLock()
	c := p.chains[name]
	p.mu.RUnlock()
	if c != nil {
		return c
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c = p.chains[name]; c == nil {
		c = newChainReports(p, strings.Clone(name))
		p.chains[c.name] = c
	}
	return c
}

// allChains lists the chains that have reports, in no order: there may be as many as
// there are latest values, and this is asked at every tick.
func (p *profile) allChains() []*chainReports {
	p.mu.RLock()
	defer p.mu.RUnlock()
	list := make([]*chainReports, 0, len(p.chains))
	for _, c := range p.chains {
		list = append(list, c)
	}
	return list
}

// expire drops senders and reports that have aged out, and counts as a change
// whatever has turned stale by now (ms).
func (p *profile) expire(now int64) {
	silenced := p.expireSenders(now)
	for _, c := range p.allChains() {
		if c.expire(now, silenced) {
			p.dropChain(c)
		}
	}
}
