package store

import (
	"slices"
	"strings"
	"sync"
)

// A sender is known for an hour after its last event and reporting for a minute.
const (
	senderReporting = 60_000
	senderTrusted   = 300_000 // silent for longer, its circuits are stale
	senderKnown     = 3_600_000
)

// sender is one gateway process as it reports to this node.
type sender struct {
	name string

	mu       sync.Mutex
	region   string
	lastSeen int64 // arrival of its last event, ms
	first    int64
	calls    secondCounts
	hasClock bool
	lateness int64
	offset   int64
	stage    int // 0 reporting, 1 silent, 2 no longer trusted; as of the last expiry
}

// senderBatch is what one batch says about its sender.
type senderBatch struct {
	calls     uint64
	events    int
	decisions uint64
	sent      bool // any event carried a ts
	oldest    int64
	newest    int64
}

func (b *senderBatch) see(e *Event) {
	b.events++
	if e.Kind == Decision {
		b.calls += uint64(e.Weight) * uint64(1+len(e.Attempts))
	}
	if e.Sent&FieldTS == 0 {
		return
	}
	if !b.sent {
		b.oldest, b.newest = e.SentTS, e.SentTS
	}
	b.sent = true
	b.oldest, b.newest = min(b.oldest, e.SentTS), max(b.newest, e.SentTS)
}

// secondCounts counts calls by second of arrival over the last minute.
type secondCounts struct {
	second [64]int64
	count  [64]uint64
}

func (c *secondCounts) add(second int64, n uint64) {
	i := second & 63
	if c.second[i] != second {
		c.second[i], c.count[i] = second, 0
	}
	c.count[i] += n
}

// sum adds up the running second and the sixty before it.
func (c *secondCounts) sum(second int64) (n uint64) {
	for i, s := range c.second {
		if s > second-61 && s <= second {
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
		s = p.senders[otherName]
	}
	p.mu.RUnlock()
	if s == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if s = p.senders[name]; s == nil {
			if len(p.senders) >= maxSenders {
				name = otherName
			}
			s = &sender{name: strings.Clone(name), region: strings.Clone(region), first: now, lastSeen: now}
			p.senders[s.name] = s
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

func (s *sender) add(b *senderBatch, now int64) {
	if b.events == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastSeen = max(s.lastSeen, now)
	s.calls.add(now/1000, b.calls)
	s.stage = 0
	if b.sent {
		s.hasClock = true
		s.lateness, s.offset = now-b.oldest, now-b.newest
	}
}

// sightings says when senders were last heard of, by name, in ms.
type sightings map[string]int64

func (p *profile) sightings() sightings {
	p.mu.RLock()
	defer p.mu.RUnlock()
	seen := make(sightings, len(p.senders))
	for name, s := range p.senders {
		seen[name] = s.seen()
	}
	return seen
}

// of is when a sender was last heard of; 0 when it is unknown.
func (s sightings) of(name string) int64 {
	if at, ok := s[name]; ok {
		return at
	}
	return s[otherName]
}

// trusted reports whether a sender has been heard of lately enough for the
// circuits it reported to stand.
func (s sightings) trusted(name string, now int64) bool {
	return now-s.of(name) <= senderTrusted
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
		case age > senderKnown:
			gone = append(gone, name)
		case age > senderTrusted && s.stage < 2:
			s.stage, changed, silenced = 2, true, true
		case age > senderReporting && s.stage < 1:
			s.stage, changed = 1, true
		}
		s.mu.Unlock()
	}
	p.mu.RUnlock()
	if len(gone) > 0 {
		p.mu.Lock()
		for _, name := range gone {
			if s := p.senders[name]; s != nil && now-s.seen() > senderKnown {
				delete(p.senders, name)
				p.store.senderCount.Add(-1)
			}
		}
		p.mu.Unlock()
		changed = true
	}
	if changed {
		p.store.revision.Add(1)
	}
	return silenced || len(gone) > 0
}

func (s *sender) seen() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastSeen
}

// senderCoverage counts the senders of a profile.
func (p *profile) senderCoverage(now int64) (reporting, known int) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, s := range p.senders {
		known++
		if now-s.seen() <= senderReporting {
			reporting++
		}
	}
	return reporting, known
}

// Senders lists who reports, by key. ProfileDim, RegionDim and NodeDim filter.
func (s *Store) Senders(f Filter) []Sender {
	now := s.clock.now()
	var list []Sender
	if !matches(f[NodeDim], s.options.Node) {
		return nil
	}
	for _, p := range s.allProfiles() {
		if !matches(f[ProfileDim], p.name) {
			continue
		}
		p.mu.RLock()
		for _, from := range p.senders {
			from.mu.Lock()
			if matches(f[RegionDim], from.region) {
				list = append(list, from.describe(p.name, now, s.began))
			}
			from.mu.Unlock()
		}
		p.mu.RUnlock()
	}
	several := len(f[ProfileDim]) != 1
	for i := range list {
		list[i].Key = list[i].SourceNode
		if several {
			list[i].Key = list[i].Profile + "/" + list[i].SourceNode
		}
	}
	slices.SortFunc(list, func(a, b Sender) int { return strings.Compare(a.Key, b.Key) })
	return list
}

func (s *sender) describe(profile string, now, began int64) Sender {
	second := now / 1000
	covered := now - max((second-60)*1000, began)
	d := Sender{
		Profile: profile, SourceNode: s.name, Region: s.region,
		LastSeenAt: s.lastSeen, Reporting: now-s.lastSeen <= senderReporting,
		Calls: s.calls.sum(second), HasClock: s.hasClock, LatenessMillis: s.lateness, OffsetMillis: s.offset,
	}
	if covered > 0 {
		d.CallsPerSecond = float64(d.Calls) * 1000 / float64(covered)
	}
	return d
}

// matches reports whether a list of allowed values takes v.
func matches(allowed []string, v string) bool {
	return len(allowed) == 0 || slices.Contains(allowed, v)
}
