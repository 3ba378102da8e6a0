package store

// members is the cluster as this node sees it.
type members struct {
	list             []Member
	reporting, known int
	oldestAge        int64
}

// Members lists the nodes of the cluster, by name; a node alone is its only one.
func (s *Store) Members() []Member {
	if m := s.members.Load(); m != nil {
		return m.list
	}
	return []Member{{
		Name: s.options.Node, Region: s.options.Region, State: "alive", Reporting: true,
		Incarnation: s.options.Incarnation, Sequence: s.sequence.Load(),
	}}
}

// SetMembers says who is in the cluster. What readers see changes when a member's
// state, staleness or coverage does: that is a change of everything read, since
// every answer carries its coverage. The latest values of silent nodes count as
// unknown until they are heard of again.
func (s *Store) SetMembers(list []Member) {
	m := &members{list: list}
	silent, running := make(map[string]bool), make(map[OriginID]bool)
	for i := range list {
		o := &list[i]
		if o.Known {
			m.known++
			if o.Reporting {
				m.reporting++
				m.oldestAge = max(m.oldestAge, o.DeltaAgeMillis)
			}
		}
		if o.State == "alive" || o.State == "leaving" {
			running[OriginID{o.Name, o.Incarnation}] = true
		}
		if o.Silent {
			silent[o.Name] = true
		}
	}
	before := s.members.Swap(m)
	changed := before == nil || len(before.list) != len(list) || before.reporting != m.reporting || before.known != m.known
	for i := range list {
		changed = changed || !list[i].sameState(&before.list[i])
	}
	s.mute(silent)
	muted := false
	s.originsMu.Lock()
	for id, o := range s.origins {
		if running[id] {
			o.met.Store(true)
		}
		if quiet := silent[id.Node] && o != s.self; o.silent.Swap(quiet) != quiet {
			muted = true
		}
	}
	s.originsMu.Unlock()
	if muted {
		for _, p := range s.allProfiles() {
			p.reportsRevision.Store(s.revision.Add(1))
		}
	}
	if changed {
		s.revision.Add(1)
	}
}

// mute prepares for nodes that have just fallen silent.
func (s *Store) mute(silent map[string]bool) {
	var falling []*origin
	s.originsMu.Lock()
	for id, o := range s.origins {
		if silent[id.Node] && o != s.self && !o.silent.Load() {
			falling = append(falling, o)
		}
	}
	s.originsMu.Unlock()
	if len(falling) == 0 {
		return
	}
	now := s.clock.now()
	for _, p := range s.allProfiles() {
		for _, c := range p.allChains() {
			c.mute(falling, now)
		}
	}
}

// sameState reports whether two views of a member differ in figures only.
func (m *Member) sameState(o *Member) bool {
	return m.Name == o.Name && m.State == o.State && m.Stale == o.Stale && m.Restarting == o.Restarting &&
		m.Incarnation == o.Incarnation && m.Region == o.Region && m.HTTPAddr == o.HTTPAddr && m.Reporting == o.Reporting && m.Alone == o.Alone && m.ClockStep == o.ClockStep
}

// coverage says how many nodes report out of how many are known, and how old the
// oldest of what they report is, in ms.
func (s *Store) coverage() (reporting, known int, oldestAge int64) {
	if m := s.members.Load(); m != nil {
		return m.reporting, m.known, m.oldestAge
	}
	return 1, 1, 0
}
