package store

import (
	"slices"
	"strings"
	"sync"

	"remuda/store/cell"
	"remuda/store/ids"
	"remuda/store/presence"
)

// senderKnown is for how long a sender is known after its last event, ms.
const senderKnown = 3_600_000

// sender is one gateway process as it reports to this node.
type sender struct {
	name string

	mu        sync.Mutex
	region    string
	lastSeen  int64 // arrival of its last event that was taken, ms; 0: none was
	calls     secondCounts
	hasClock  bool
	body      uint64 // the last whose events had a ts, which lateness and offset are of
	lateness  int64
	offset    int64
	rejection rejection
	quiet     bool // the profile's presence does not count it as reporting, and wants to be told of more
	stage     int  // 0 reporting, 1 silent, 2 no longer trusted; as of the last expiry

	closed   Sender // what others know
	closedAt int64
	stamp    uint32 // of closed; 0: there is none
}

// awayKey names a sender to another origin.
type awayKey struct {
	origin *origin
	name   string
}

// awaySender is a sender as it reports to another origin.
type awaySender struct {
	Sender
	stamp uint32
	stage int
}

// closeSenders stamps what has changed of senders. Each is closed about once a
// second, less often where there are very many: their ages need no more.
func (p *profile) closeSenders(now int64, stamp uint32) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	gap := min(max(int64(len(p.senders))*10, 950), 20_000)
	for _, s := range p.senders {
		s.mu.Lock()
		if now-s.closedAt >= gap {
			d := s.describe(p.name, now)
			// The rate over the minute falls when nothing comes; others can tell how.
			if s.stamp == 0 || d.LastSeenAt != s.closed.LastSeenAt || d.Calls != s.closed.Calls || d.Region != s.closed.Region ||
				d.RejectedAt != s.closed.RejectedAt || d.Rejected != s.closed.Rejected {
				s.closed, s.closedAt, s.stamp = d, now, stamp
			}
		}
		s.mu.Unlock()
	}
}

// senderBatch is what one batch says about its sender.
type senderBatch struct {
	events    int
	decisions uint64
	sent      bool // any event carried a ts
	oldest    int64
	newest    int64

	// Calls of the last minute, by the second of their ts. Only those from first to last
	// may be above 0.
	calls       [64]uint64
	first, last int64
}

// see takes note of an event that comes in a second.
func (b *senderBatch) see(e *Event, now int64) {
	b.events++
	if e.Kind == Decision {
		b.decisions++
		if second := min(e.TS/1000, now); second > now-minute {
			if b.last == 0 {
				b.first = second
			}
			b.first, b.last = min(b.first, second), max(b.last, second)
			b.calls[second&63] += e.calls()
		}
	}
	if e.Sent&FieldTS == 0 || e.Kind == Circuit { // a circuit may be told of again long after it changed
		return
	}
	if !b.sent {
		b.oldest, b.newest = e.SentTS, e.SentTS
	}
	b.sent = true
	b.oldest, b.newest = min(b.oldest, e.SentTS), max(b.newest, e.SentTS)
}

// unsee takes the calls of an event back that was counted before.
func (b *senderBatch) unsee(e *Event, now int64) {
	if e.Kind == Decision {
		b.decisions--
		if second := min(e.TS/1000, now); second > now-minute {
			b.calls[second&63] -= e.calls()
		}
	}
}

// calls is how many calls a decision stands for.
func (e *Event) calls() uint64 {
	n := uint64(1)
	for i := range e.Attempts {
		if e.Attempts[i].Result != cell.NotSent {
			n++
		}
	}
	return n * uint64(e.Weight)
}

// minute is how many seconds a window of a minute has, the running one included.
const minute = 61

// secondCounts counts calls by the second of their ts over the last minute: the same
// that a window of 1m shows.
type secondCounts struct {
	second [64]int64
	count  [64]uint64
}

func (c *secondCounts) add(second int64, n uint64) {
	i := second & 63
	if c.second[i] > second {
		return // out of the minute meanwhile
	}
	if c.second[i] < second {
		c.second[i], c.count[i] = second, 0
	}
	c.count[i] += n
}

// sum adds up the running second and the sixty before it.
func (c *secondCounts) sum(second int64) (n uint64) {
	for i, s := range c.second {
		if s > second-minute && s <= second {
			n += c.count[i]
		}
	}
	return n
}

// sender returns a sender, made when unknown. Beyond the cap all new ones are one.
func (p *profile) sender(name, region string, now int64) *sender {
	p.mu.RLock()
	s := p.senders[name]
	if s == nil && len(p.senders) >= maxSenders {
		s = p.senders[ids.Other]
	}
	p.mu.RUnlock()
	if s == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if s = p.senders[name]; s == nil {
			if len(p.senders) >= maxSenders {
				name = ids.Other
			}
			s = &sender{name: strings.Clone(name), region: strings.Clone(region), lastSeen: now}
			p.senders[s.name] = s
			p.presence.Join(s.name, s, now)
			p.store.senderCount.Add(1)
			p.store.revision.Add(1)
		}
		return s
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.region != region {
		s.region = strings.Clone(region)
	}
	return s
}

// add takes note of a part of a body that came at now, at which the wall clock had a
// time of its own. It reports whether the sender was quiet.
func (s *sender) add(b *senderBatch, body uint64, now, wall int64) (wakes bool) {
	if b.events == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastSeen = max(s.lastSeen, now)
	for second := b.first; second <= b.last; second++ {
		if n := b.calls[second&63]; n > 0 {
			s.calls.add(second, n)
		}
	}
	s.stage = 0
	if b.sent {
		lateness, offset := wall-b.oldest, wall-b.newest
		if s.hasClock && s.body == body {
			lateness, offset = max(lateness, s.lateness), min(offset, s.offset)
		}
		s.hasClock, s.body, s.lateness, s.offset = true, body, lateness, offset
	}
	return s.quiet
}

// expireSenders drops senders that are no longer known. It reports whether any
// has become one whose circuits are not trusted.
func (p *profile) expireSenders(now int64) (silenced bool) {
	changed := false
	var gone []string
	p.mu.RLock()
	for name, s := range p.senders {
		s.mu.Lock()
		age := now - s.lastSeen
		switch {
		case now-s.heard() > senderKnown:
			gone = append(gone, name)
		case age > presence.Trusted && s.stage < 2:
			s.stage, changed, silenced = 2, true, true
		case age > presence.Reporting && s.stage < 1:
			s.stage, changed = 1, true
		}
		s.mu.Unlock()
	}
	var goneAway []awayKey
	for key, s := range p.awaySenders {
		age := now - key.origin.Local(s.LastSeenAt)
		switch {
		case now-s.heard(key.origin) > senderKnown:
			goneAway = append(goneAway, key)
		case age > presence.Trusted && s.stage < 2:
			changed, silenced = true, true
		case age > presence.Reporting && s.stage < 1:
			changed = true
		}
	}
	p.mu.RUnlock()
	if len(goneAway) > 0 || changed {
		p.mu.Lock()
		for _, key := range goneAway {
			delete(p.awaySenders, key)
			p.presence.Untold(key.name, key.origin, now)
			p.store.senderCount.Add(-1)
		}
		for key, s := range p.awaySenders {
			s.stage = 0
			if age := now - key.origin.Local(s.LastSeenAt); age > presence.Trusted {
				s.stage = 2
			} else if age > presence.Reporting {
				s.stage = 1
			}
			p.awaySenders[key] = s
		}
		p.mu.Unlock()
		changed = true
	}
	if len(gone) > 0 {
		p.mu.Lock()
		for _, name := range gone {
			if s := p.senders[name]; s != nil && now-s.lastHeard() > senderKnown {
				delete(p.senders, name)
				p.presence.Leave(name, now)
				p.store.senderCount.Add(-1)
			}
		}
		p.mu.Unlock()
		changed = true
	}
	if changed {
		p.store.revision.Add(1)
	}
	return silenced || len(gone)+len(goneAway) > 0
}

func (s *sender) lastHeard() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard()
}

// LastSeen and WakeAfter are for the profile's presence.
func (s *sender) LastSeen() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastSeen
}

func (s *sender) WakeAfter(since int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = s.lastSeen < since
}

// Senders lists who reports, by key, over the nodes that they report to.
// ProfileDim, RegionDim and NodeDim filter.
func (s *Store) Senders(f Filter) []Sender {
	now := s.clock.now()
	several := len(f[ProfileDim]) != 1
	covered := s.covered(f[ProfileDim], cell.Window1m, now)
	runs := make(map[string]uint64) // that still report
	for _, m := range s.Members() {
		if m.State == "alive" {
			runs[m.Name] = m.Incarnation
		}
	}
	found := make(map[string]*Sender)
	add := func(d Sender, o *origin) {
		if !matches(f[NodeDim], o.name) || !matches(f[RegionDim], d.Region) {
			return
		}
		if d.LastSeenAt > 0 {
			d.LastSeenAt = o.Local(d.LastSeenAt)
		}
		if d.RejectedAt > 0 {
			d.RejectedAt = o.Local(d.RejectedAt)
		}
		d.Reporting = now-d.LastSeenAt <= presence.Reporting
		if !d.Reporting {
			d.Calls = 0
		} else if runs[o.name] != o.incarnation {
			d.Calls = d.lately(now, o.Local(int64(o.incarnation)))
		}
		d.Key = d.SourceNode
		if several {
			d.Key = d.Profile + "/" + d.SourceNode
		}
		old := found[d.Key]
		if old == nil {
			found[d.Key] = &d
			return
		}
		d.Calls += old.Calls
		d.addRejected(old)
		if old.LastSeenAt > d.LastSeenAt {
			old.Calls = d.Calls
			old.Rejected, old.RejectedAt, old.Fault = d.Rejected, d.RejectedAt, d.Fault
			return
		}
		*old = d
	}
	for _, p := range s.allProfiles() {
		if !matches(f[ProfileDim], p.name) {
			continue
		}
		p.mu.RLock()
		for _, from := range p.senders {
			from.mu.Lock()
			d := from.describe(p.name, now)
			from.mu.Unlock()
			add(d, s.self)
		}
		for key, d := range p.awaySenders {
			add(d.Sender, key.origin)
		}
		p.mu.RUnlock()
	}
	list := make([]Sender, 0, len(found))
	for _, d := range found {
		d.LastSeenAt, d.RejectedAt = s.clock.shown(d.LastSeenAt), s.clock.shown(d.RejectedAt)
		if d.CallsPerSecond = 0; covered > 0 {
			d.CallsPerSecond = float64(d.Calls) * 1000 / float64(covered)
		}
		list = append(list, *d)
	}
	slices.SortFunc(list, func(a, b Sender) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// lately is how many of the calls of the minute before LastSeenAt are in the minute
// before now. A run that has ended, and began then, says no more about it than
// their sum: they count as spread evenly.
func (d *Sender) lately(now, began int64) uint64 {
	began = max(began, d.LastSeenAt-presence.Reporting)
	from := max(began, now-presence.Reporting)
	if from == began || d.LastSeenAt <= began {
		return d.Calls
	}
	return uint64(float64(d.Calls) * float64(d.LastSeenAt-from) / float64(d.LastSeenAt-began))
}

func (s *sender) describe(profile string, now int64) Sender {
	return Sender{
		Profile: profile, SourceNode: s.name, Region: s.region,
		LastSeenAt: s.lastSeen, Reporting: now-s.lastSeen <= presence.Reporting,
		Calls: s.calls.sum(now / 1000), HasClock: s.hasClock, LatenessMillis: s.lateness, OffsetMillis: s.offset,
		Rejected: s.rejection.events, RejectedAt: s.rejection.at, Fault: s.rejection.fault,
	}
}

// matches reports whether a list of allowed values takes v.
func matches(allowed []string, v string) bool {
	return len(allowed) == 0 || slices.Contains(allowed, v)
}
