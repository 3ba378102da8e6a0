package store

import (
	"slices"
	"strings"
	"sync"
)

// How long a report counts, in ms. A circuit counts for as long as its sender is
// heard of, because breakers only report transitions.
const (
	heightFresh  = 60_000
	healthFresh  = 300_000
	reportKept   = 3_600_000 // a report that nobody renewed is forgotten
	changesKept  = 200       // circuit changes, per profile
	consensusPct = 75        // percentile of the fresh heights that others are measured against
)

// reportKey names the latest value of one kind within a chain.
type reportKey struct {
	provider, region, sender string
	transport                Transport
}

// chainReports holds the latest values of one chain of a profile.
type chainReports struct {
	profile *profile
	name    string

	mu       sync.RWMutex
	circuits map[reportKey]*CircuitReport
	heights  map[reportKey]*BlockReport
	healths  map[reportKey]*HealthReport
	due      int64 // when the next report turns stale or is dropped, ms; circuits depend on their senders
	gone     bool  // empty and on its way out
}

func newChainReports(p *profile, name string) *chainReports {
	return &chainReports{
		profile: p, name: name,
		circuits: make(map[reportKey]*CircuitReport),
		heights:  make(map[reportKey]*BlockReport),
		healths:  make(map[reportKey]*HealthReport),
	}
}

func (c *chainReports) count() int { return len(c.circuits) + len(c.heights) + len(c.healths) }

// has reports whether an event only renews a report. The caller holds c.mu.
func (c *chainReports) has(e *Event) bool {
	key := keyOf(e)
	switch e.Kind {
	case Circuit:
		return c.circuits[key] != nil
	case Block:
		return c.heights[key] != nil
	default:
		return c.healths[key] != nil
	}
}

func keyOf(e *Event) reportKey {
	return reportKey{provider: e.ProviderID, region: e.SourceRegion, sender: e.SourceNode, transport: e.Transport}
}

func (k reportKey) clone() reportKey {
	return reportKey{provider: strings.Clone(k.provider), region: strings.Clone(k.region), sender: strings.Clone(k.sender), transport: k.transport}
}

// hasRoom reports whether the cap on latest values leaves room for an event.
func (p *profile) hasRoom(e *Event) bool {
	if p.store.latestCount.Load() < int64(p.store.options.MaxLatestValues) {
		return true
	}
	p.mu.RLock()
	c := p.chains[e.Chain]
	p.mu.RUnlock()
	if c == nil {
		return false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.has(e)
}

// latest keeps a circuit, height or health report unless a newer one is known.
func (p *profile) latest(e *Event) {
	for {
		c := p.chain(e.Chain)
		c.mu.Lock()
		if c.gone { // it was found empty in between
			c.mu.Unlock()
			p.dropChain(c)
			continue
		}
		change, changed := c.put(e)
		p.reportsRevision.Store(p.store.revision.Add(1))
		c.mu.Unlock()
		if changed {
			p.changes.put(change)
		}
		return
	}
}

func (p *profile) dropChain(c *chainReports) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.chains[c.name] == c {
		delete(p.chains, c.name)
	}
}

func (c *chainReports) put(e *Event) (change CircuitChange, changed bool) {
	key := keyOf(e)
	switch e.Kind {
	case Circuit:
		return c.putCircuit(key, e)
	case Block:
		old := c.heights[key]
		if old != nil && e.TS < old.LastSeenAt {
			return change, false
		}
		if old == nil {
			key = key.clone()
			old = &BlockReport{Profile: c.profile.name, Chain: c.name, ProviderID: key.provider, Region: key.region, Sender: key.sender}
			c.heights[key] = old
			c.profile.store.latestCount.Add(1)
		}
		old.Height, old.Source, old.LastSeenAt = e.Height, e.HeightSource, e.TS
		c.dueBy(e.TS + heightFresh + 1)
	case Health:
		old := c.healths[key]
		if old != nil && e.TS < old.LastSeenAt {
			return change, false
		}
		if old == nil {
			key = key.clone()
			old = &HealthReport{
				Profile: c.profile.name, Chain: c.name, ProviderID: key.provider, Region: key.region,
				Sender: key.sender, Transport: key.transport,
			}
			c.healths[key] = old
			c.profile.store.latestCount.Add(1)
		}
		old.Status, old.LastSeenAt = e.Status, e.TS
		old.ConsecutiveFailures, old.ConsecutiveSuccesses = e.ConsecutiveFailures, e.ConsecutiveSuccesses
		old.HasLatency, old.LatencyMicros = e.Sent&FieldLatency != 0, e.LatencyMicros
		if old.Reason != e.Reason {
			old.Reason = strings.Clone(e.Reason)
		}
		c.dueBy(e.TS + healthFresh + 1)
	}
	return change, false
}

func (c *chainReports) putCircuit(key reportKey, e *Event) (change CircuitChange, changed bool) {
	old := c.circuits[key]
	from := e.From
	if from == CircuitUnknown && old != nil {
		from = old.State
	}
	if from != e.To {
		key = key.clone()
		change = CircuitChange{
			Profile: c.profile.name, Chain: c.name, ProviderID: key.provider, Region: key.region, Sender: key.sender,
			Transport: key.transport, From: from, To: e.To, Reason: strings.Clone(e.Reason), At: e.TS,
		}
		changed = true
	}
	if old != nil && e.TS < old.LastSeenAt {
		return change, changed
	}
	if old == nil {
		key = key.clone()
		old = &CircuitReport{
			Profile: c.profile.name, Chain: c.name, ProviderID: key.provider, Region: key.region,
			Sender: key.sender, Transport: key.transport,
		}
		c.circuits[key] = old
		c.profile.store.latestCount.Add(1)
	}
	if old.State != e.To || old.SinceAt == 0 {
		old.SinceAt = e.TS
	}
	old.State, old.LastSeenAt = e.To, e.TS
	if old.Reason != e.Reason {
		old.Reason = strings.Clone(e.Reason)
	}
	return change, changed
}

func (c *chainReports) dueBy(at int64) {
	if c.due == 0 || at < c.due {
		c.due = at
	}
}

// expire drops what has been forgotten and counts as a change what has turned
// stale; silenced says that senders have. It reports whether the chain is gone.
func (c *chainReports) expire(now int64, silenced bool, senders sightings) (gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if (c.due == 0 || c.due > now) && !(silenced && len(c.circuits) > 0) {
		return c.gone
	}
	before := c.count()
	c.due = 0
	for key, r := range c.heights {
		if now-r.LastSeenAt > reportKept {
			delete(c.heights, key)
			continue
		}
		c.dueAfter(now, r.LastSeenAt, heightFresh)
	}
	for key, r := range c.healths {
		if now-r.LastSeenAt > reportKept {
			delete(c.healths, key)
			continue
		}
		c.dueAfter(now, r.LastSeenAt, healthFresh)
	}
	for key := range c.circuits {
		if senders.of(key.sender) == 0 {
			delete(c.circuits, key)
		}
	}
	c.profile.store.latestCount.Add(int64(c.count() - before))
	c.profile.reportsRevision.Store(c.profile.store.revision.Add(1))
	c.gone = c.count() == 0
	return c.gone
}

// dueAfter notes the next of the two instants at which a report changes.
func (c *chainReports) dueAfter(now, seen, fresh int64) {
	if at := seen + fresh + 1; at > now {
		c.dueBy(at)
		return
	}
	c.dueBy(seen + reportKept + 1)
}

// consensus returns the consensus height of each region: the 75th percentile, by
// nearest rank, of the fresh heights. The caller holds c.mu.
func (c *chainReports) consensus(now int64) map[string]uint64 {
	byRegion := make(map[string][]uint64)
	for key, r := range c.heights {
		if now-r.LastSeenAt <= heightFresh {
			byRegion[key.region] = append(byRegion[key.region], r.Height)
		}
	}
	agreed := make(map[string]uint64, len(byRegion))
	for region, heights := range byRegion {
		slices.Sort(heights)
		agreed[region] = heights[(len(heights)*consensusPct+99)/100-1]
	}
	return agreed
}

// changeRing keeps the last circuit changes of a profile.
type changeRing struct {
	mu       sync.Mutex
	sequence uint64
	ring     []CircuitChange
	next     int
}

func (r *changeRing) put(c CircuitChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sequence++
	c.seq = r.sequence
	if len(r.ring) < changesKept {
		r.ring = append(r.ring, c)
		return
	}
	r.ring[r.next] = c
	r.next = (r.next + 1) % changesKept
}
