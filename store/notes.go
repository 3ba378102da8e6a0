package store

// Notes are what has changed of an origin besides rows: latest values, circuit
// changes, senders, decisions of the feed, and tallies. All are absolute, as rows
// are: of two notes of the same thing the one with the newer stamp is right.
type Notes struct {
	Circuits  []Stamped[CircuitReport]
	Blocks    []Stamped[BlockReport]
	Healths   []Stamped[HealthReport]
	Changes   []Stamped[CircuitChange]
	Senders   []Stamped[Sender]
	Decisions []Stamped[DecisionRecord] // Seq is their number at the origin
	Tallies   []Stamped[Tally]
}

// Newest is the newest stamp of any of what digests are made of.
func (n *Notes) Newest() (stamp uint64) {
	return max(newest(n.Circuits), newest(n.Blocks), newest(n.Healths))
}

func newest[V any](list []Stamped[V]) (stamp uint64) {
	for i := range list {
		stamp = max(stamp, list[i].Stamp)
	}
	return stamp
}

// Stamped is a note with the sequence that closed it, and for latest values the
// one that first had it: a value that was forgotten and came again is another.
type Stamped[V any] struct {
	Stamp, Born uint64
	Value       V
}

// Tally is what an origin counted in a profile besides rows, since its start.
type Tally struct {
	Profile               string
	Seen, Shown, Overflow uint64
}

// Len is how many notes there are.
func (n *Notes) Len() int {
	return len(n.Circuits) + len(n.Blocks) + len(n.Healths) + len(n.Changes) + len(n.Senders) + len(n.Decisions) + len(n.Tallies)
}

// Urgent is readable when something was reported that other nodes should know at
// once: a circuit or a health that changed. Whoever reads it calls Tick.
func (s *Store) Urgent() <-chan struct{} { return s.urgent }

func (s *Store) hurry() {
	select {
	case s.urgent <- struct{}{}:
	default:
	}
}

// closeNotes stamps what has changed besides rows.
func (s *Store) closeNotes(stamp uint32, now int64) {
	left := sharedPerTick
	for _, p := range s.allProfiles() {
		for _, c := range p.allChains() {
			c.close(stamp)
		}
		p.changes.close(stamp)
		p.closeSenders(now, stamp)
		left = p.feed.close(stamp, left)
		t := Tally{p.name, p.feed.seen.Load(), p.feed.shown.Load(), p.overflow.Load()}
		p.mu.Lock()
		if t != p.closedTally.Tally {
			p.closedTally = tally{t, stamp}
		}
		p.mu.Unlock()
	}
	if left < sharedPerTick && !s.alone() {
		s.revision.Add(1) // what all are told is what is listed
	}
}

// ChangedNotes returns what has changed of an origin besides rows and decisions
// after a sequence.
func (s *Store) ChangedNotes(id OriginID, after uint64) *Notes {
	s.originsMu.Lock()
	o := s.origins[id]
	s.originsMu.Unlock()
	n := new(Notes)
	if o == nil {
		return n
	}
	for _, p := range s.allProfiles() {
		for _, c := range p.allChains() {
			c.mu.RLock()
			n.Circuits = changedValues(n.Circuits, c.circuits, o, after)
			n.Blocks = changedValues(n.Blocks, c.heights, o, after)
			n.Healths = changedValues(n.Healths, c.healths, o, after)
			c.mu.RUnlock()
		}
		p.changes.mu.Lock()
		for i := range p.changes.list {
			if c := &p.changes.list[i]; c.origin == o && uint64(c.stamp) > after {
				n.Changes = append(n.Changes, Stamped[CircuitChange]{Stamp: uint64(c.stamp), Value: c.CircuitChange})
			}
		}
		p.changes.mu.Unlock()
		p.changedSenders(n, o, after)
	}
	return n
}

// ChangedDecisions returns the decisions of an origin that others are told of and
// that were stamped after a sequence, in no order. Their Seq is their number at the
// origin.
func (s *Store) ChangedDecisions(id OriginID, after uint64) (list []Stamped[DecisionRecord]) {
	s.originsMu.Lock()
	o := s.origins[id]
	s.originsMu.Unlock()
	if o == nil {
		return nil
	}
	for _, p := range s.allProfiles() {
		p.feed.mu.Lock()
		p.feed.shared.each(func(d *DecisionRecord) {
			if d.origin == o && uint64(d.stamp) > after {
				v := *d
				v.Seq = d.number
				list = append(list, Stamped[DecisionRecord]{Stamp: uint64(d.stamp), Value: v})
			}
		})
		p.feed.mu.Unlock()
	}
	return list
}

func (p *profile) changedSenders(n *Notes, o *origin, after uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if o == p.store.self {
		for _, from := range p.senders {
			from.mu.Lock()
			if uint64(from.stamp) > after {
				n.Senders = append(n.Senders, Stamped[Sender]{Stamp: uint64(from.stamp), Value: from.closed})
			}
			from.mu.Unlock()
		}
		if uint64(p.closedTally.stamp) > after {
			n.Tallies = append(n.Tallies, Stamped[Tally]{Stamp: uint64(p.closedTally.stamp), Value: p.closedTally.Tally})
		}
		return
	}
	for key, from := range p.awaySenders {
		if key.origin == o && uint64(from.stamp) > after {
			n.Senders = append(n.Senders, Stamped[Sender]{Stamp: uint64(from.stamp), Value: from.Sender})
		}
	}
	if t := p.awayTallies[o]; t != nil && uint64(t.stamp) > after {
		n.Tallies = append(n.Tallies, Stamped[Tally]{Stamp: uint64(t.stamp), Value: t.Tally})
	}
}

func changedValues[V value](list []Stamped[V], values latestValues[V], o *origin, after uint64) []Stamped[V] {
	for _, r := range values {
		if a := r.of(o); a != nil && uint64(a.stamp) > after {
			list = append(list, Stamped[V]{uint64(a.stamp), uint64(a.born), a.closedReport})
		}
	}
	return list
}

// MergeNotes takes over what another origin reported besides rows. It keeps the
// strings. Like Merge it is idempotent, commutative and associative. Notes for
// which a cap leaves no room are left out, and ErrNoRoom says so.
func (s *Store) MergeNotes(id OriginID, n *Notes) error {
	if id.Node == s.options.Node && id.Incarnation == s.options.Incarnation {
		return ErrOwnState
	}
	o := s.origin(id)
	m := noteMerger{store: s, origin: o}
	for i := range n.Circuits {
		c := &n.Circuits[i]
		v := &c.Value
		mergeValue(&m, v.Profile, v.Chain, circuitKind, reportKey{v.ProviderID, v.Region, v.Sender, v.Transport}, c,
			func(c *chainReports) latestValues[CircuitReport] { return c.circuits }, 0)
	}
	for i := range n.Blocks {
		c := &n.Blocks[i]
		v := &c.Value
		mergeValue(&m, v.Profile, v.Chain, heightKind, reportKey{v.ProviderID, v.Region, v.Sender, HTTP}, c,
			func(c *chainReports) latestValues[BlockReport] {
				c.sampleHeads(s.clock.now())
				return c.heights
			}, heightFresh)
	}
	for i := range n.Healths {
		c := &n.Healths[i]
		v := &c.Value
		mergeValue(&m, v.Profile, v.Chain, healthKind, reportKey{v.ProviderID, v.Region, v.Sender, v.Transport}, c,
			func(c *chainReports) latestValues[HealthReport] { return c.healths }, healthFresh)
	}
	for i := range n.Changes {
		c := &n.Changes[i]
		m.in(c.Value.Profile, func(p *profile) {
			if p.changes.put(recordedChange{c.Value, o, uint32(c.Stamp)}) {
				p.reportsRevision.Store(s.revision.Add(1))
			}
		})
	}
	for i := range n.Senders {
		c := &n.Senders[i]
		m.in(c.Value.Profile, func(p *profile) { m.sender(p, c) })
	}
	for i := range n.Decisions {
		c := &n.Decisions[i]
		m.in(c.Value.Profile, func(p *profile) {
			d := c.Value
			d.origin, d.number, d.stamp, d.Node = o, d.Seq, uint32(c.Stamp), o.name
			if p.feed.take(d) {
				s.revision.Add(1)
			}
		})
	}
	for i := range n.Tallies {
		c := &n.Tallies[i]
		m.in(c.Value.Profile, func(p *profile) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if t := p.awayTallies[o]; t == nil || uint64(t.stamp) < c.Stamp {
				p.awayTallies[o] = &tally{c.Value, uint32(c.Stamp)}
				s.revision.Add(1)
			}
		})
	}
	if m.full {
		return ErrNoRoom
	}
	return nil
}

// noteMerger is one call of MergeNotes.
type noteMerger struct {
	store  *Store
	origin *origin
	full   bool
}

// in calls do with a profile, if there is room for it.
func (m *noteMerger) in(name string, do func(p *profile)) {
	p := m.store.acquireProfile(name)
	if p == nil {
		m.full = true
		return
	}
	defer p.release()
	do(p)
}

func (m *noteMerger) sender(p *profile, n *Stamped[Sender]) {
	key := awayKey{m.origin, n.Value.SourceNode}
	p.mu.Lock()
	defer p.mu.Unlock()
	old, known := p.awaySenders[key]
	switch {
	case known && uint64(old.stamp) >= n.Stamp:
		return
	case !known && len(p.awaySenders) >= 16*maxSenders:
		m.full = true
		return
	case !known:
		if m.store.clock.now()-n.Value.heard(m.origin) > senderKnown {
			return
		}
		m.store.senderCount.Add(1)
	}
	p.awaySenders[key] = awaySender{Sender: n.Value, stamp: uint32(n.Stamp)}
	p.presence.Told(key.name, key.origin, n.Value.LastSeenAt, m.store.clock.now())
	m.store.revision.Add(1)
}

// mergeValue takes over a latest value. fresh is for how long it is, in ms; 0 when
// that depends on the sender.
func mergeValue[V value](
	m *noteMerger, profileName, chain string, kind byte, key reportKey, n *Stamped[V],
	of func(*chainReports) latestValues[V], fresh int64,
) {
	m.in(profileName, func(p *profile) {
		full := m.store.latestCount.Load() >= 16*int64(m.store.options.MaxLatestValues)
		p.withChain(chain, func(c *chainReports) {
			values := of(c)
			if full && values[key].of(m.origin) == nil {
				m.full = true
				return
			}
			isNew, _ := values.merge(key, m.origin, n.Value, uint32(n.Born), uint32(n.Stamp), c.mark(kind, key))
			c.counted(isNew)
			if fresh > 0 {
				c.dueBy(m.origin.Local(n.Value.seenAt()) + fresh + 1)
			}
		})
	})
}

// Forget drops a run of another node of which no row is left, and what it reported.
// It reports false when there are rows.
func (s *Store) Forget(id OriginID) bool {
	s.originsMu.Lock()
	o := s.origins[id]
	s.originsMu.Unlock()
	if o == nil || o == s.self || o.rowCount.Load() > 0 {
		return false
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for j, p := range sh.parts {
			if p.origin == o && len(p.rows) == len(p.free) {
				sh.parts = append(sh.parts[:j:j], sh.parts[j+1:]...)
				break
			}
		}
		sh.mu.Unlock()
	}
	for _, p := range s.allProfiles() {
		for _, c := range p.allChains() {
			c.mu.Lock()
			c.forget(c.circuits.drop(c, circuitKind, notOf[CircuitReport](o)) + c.heights.drop(c, heightKind, notOf[BlockReport](o)) +
				c.healths.drop(c, healthKind, notOf[HealthReport](o)))
			c.mu.Unlock()
		}
		p.mu.Lock()
		delete(p.awayTallies, o)
		for key := range p.awaySenders {
			if key.origin == o {
				delete(p.awaySenders, key)
				p.presence.Untold(key.name, key.origin, s.clock.now())
				s.senderCount.Add(-1)
			}
		}
		p.mu.Unlock()
	}
	s.originsMu.Lock()
	delete(s.origins, id)
	s.originsMu.Unlock()
	s.revision.Add(1)
	return true
}

func notOf[V value](o *origin) func(reportKey, *said[V]) bool {
	return func(_ reportKey, a *said[V]) bool { return a.origin != o }
}

// Holds reports whether the store has rows of a run.
func (s *Store) Holds(id OriginID) bool {
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	o := s.origins[id]
	return o != nil && o.rowCount.Load() > 0
}
