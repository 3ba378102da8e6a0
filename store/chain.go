package store

import (
	"strings"
	"sync"

	"remuda/store/heights"
)

// The kinds of latest values, for marks.
const (
	circuitKind = iota
	heightKind
	healthKind
)

// chainReports holds the latest values of one chain of a profile.
type chainReports struct {
	profile *profile
	name    string

	mu        sync.RWMutex
	circuits  latestValues[CircuitReport]
	heights   latestValues[BlockReport]
	healths   latestValues[HealthReport]
	marks     map[string]heights.Marks // by region: what the heights' consensus was
	sampledAt int64                    // when it was last looked at, ms
	count     int
	dirty     [3]bool // by kind: values of this node were reported since the last tick
	due       int64   // when the next report turns stale or is dropped, ms; circuits depend on their senders
	gone      bool    // empty and on its way out
}

func newChainReports(p *profile, name string) *chainReports {
	return &chainReports{
		profile: p, name: name,
		circuits: make(latestValues[CircuitReport]),
		heights:  make(latestValues[BlockReport]),
		healths:  make(latestValues[HealthReport]),
		marks:    make(map[string]heights.Marks),
	}
}

// mark is a hash of a latest value's key, the same on every node.
func (c *chainReports) mark(kind byte, k reportKey) uint64 {
	var b [512]byte
	dst := append(b[:0], kind, byte(k.transport))
	for _, part := range [...]string{c.profile.name, c.name, k.provider, k.region, k.sender} {
		dst = append(append(dst, part...), 0)
	}
	return portableHash(string(dst))
}

// has reports whether an event only renews a report. The caller holds c.mu.
func (c *chainReports) has(e *Event) bool {
	key, self := keyOf(e), c.profile.store.self
	switch e.Kind {
	case Circuit:
		return c.circuits[key].of(self) != nil
	case Block:
		return c.heights[key].of(self) != nil
	default:
		return c.healths[key].of(self) != nil
	}
}

func keyOf(e *Event) reportKey {
	return reportKey{provider: e.ProviderID, region: e.SourceRegion, sender: e.SourceNode, transport: e.Transport}
}

func (k reportKey) clone() reportKey {
	return reportKey{provider: strings.Clone(k.provider), region: strings.Clone(k.region), sender: strings.Clone(k.sender), transport: k.transport}
}

// withChain calls do with a chain's reports under its mutex, and counts what it
// did as a change.
func (p *profile) withChain(name string, do func(c *chainReports)) {
	for {
		c := p.chain(name)
		c.mu.Lock()
		if c.gone { // it was found empty in between
			c.mu.Unlock()
			p.dropChain(c)
			continue
		}
		do(c)
		p.reportsRevision.Store(p.store.revision.Add(1))
		c.mu.Unlock()
		return
	}
}

// latest keeps a circuit, height or health report unless a newer one is known.
func (p *profile) latest(e *Event) {
	var change CircuitChange
	var changed, urgent bool
	p.withChain(e.Chain, func(c *chainReports) { change, changed, urgent = c.put(e) })
	if changed {
		p.changes.own(p.store.self, change)
	}
	if changed || urgent {
		p.store.hurry()
	}
}

func (p *profile) dropChain(c *chainReports) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.chains[c.name] == c {
		delete(p.chains, c.name)
	}
}

// put keeps a report. urgent says that others should know at once.
func (c *chainReports) put(e *Event) (change CircuitChange, changed, urgent bool) {
	key, self := keyOf(e), c.profile.store.self
	isNew := false
	switch e.Kind {
	case Circuit:
		return c.putCircuit(key, e)
	case Block:
		now := c.profile.store.clock.now()
		// Nobody saw it later than now: by a clock that is ahead, it would be judged by the
		// consensus of blocks to come.
		r := BlockReport{Profile: c.profile.name, Chain: c.name, Height: e.Height, Source: e.HeightSource, LastSeenAt: min(e.TS, now)}
		if a := c.heights[key].of(self); a != nil {
			r.ProviderID, r.Region, r.Sender = a.report.ProviderID, a.report.Region, a.report.Sender
		} else {
			key = key.clone()
			r.ProviderID, r.Region, r.Sender = key.provider, key.region, key.sender
		}
		c.sampleHeads(now)
		isNew, _ = c.heights.put(key, self, r)
		c.dirty[heightKind] = true
		c.dueBy(r.LastSeenAt + heightFresh + 1)
	case Health:
		r := HealthReport{
			Profile: c.profile.name, Chain: c.name, Transport: e.Transport, Status: e.Status, LastSeenAt: e.TS,
			ConsecutiveFailures: e.ConsecutiveFailures, ConsecutiveSuccesses: e.ConsecutiveSuccesses,
			HasLatency: e.Sent&FieldLatency != 0, LatencyMicros: e.LatencyMicros,
		}
		if a := c.healths[key].of(self); a != nil {
			r.ProviderID, r.Region, r.Sender, r.Reason = a.report.ProviderID, a.report.Region, a.report.Sender, a.report.Reason
			urgent = a.report.Status != e.Status
		} else {
			key = key.clone()
			r.ProviderID, r.Region, r.Sender = key.provider, key.region, key.sender
			urgent = true
		}
		if r.Reason != e.Reason {
			r.Reason = strings.Clone(e.Reason)
		}
		isNew, _ = c.healths.put(key, self, r)
		c.dirty[healthKind] = true
		c.dueBy(e.TS + healthFresh + 1)
	}
	c.counted(isNew)
	return change, false, urgent
}

// counted notes that there is one more value.
func (c *chainReports) counted(isNew bool) {
	if isNew {
		c.count++
		c.profile.store.latestCount.Add(1)
	}
}

func (c *chainReports) putCircuit(key reportKey, e *Event) (change CircuitChange, changed, urgent bool) {
	known := c.circuits[key]
	from, since, at := e.From, e.TS, e.TS
	if known != nil {
		last := &known.byOrigin[known.newest].report
		if from == CircuitUnknown {
			from = last.State
		}
		if last.State == e.To {
			since = last.SinceAt
		}
	}
	if e.SinceAt != 0 {
		since, at = e.SinceAt, e.SinceAt
	}
	old := known.of(c.profile.store.self)
	r := CircuitReport{Profile: c.profile.name, Chain: c.name, Transport: e.Transport, State: e.To, SinceAt: since, LastSeenAt: e.TS}
	if old != nil {
		r.ProviderID, r.Region, r.Sender, r.Reason = old.report.ProviderID, old.report.Region, old.report.Sender, old.report.Reason
	} else {
		key = key.clone()
		r.ProviderID, r.Region, r.Sender = key.provider, key.region, key.sender
	}
	if r.Reason != e.Reason {
		r.Reason = strings.Clone(e.Reason)
	}
	if from != e.To {
		change = CircuitChange{
			Profile: c.profile.name, Chain: c.name, ProviderID: r.ProviderID, Region: r.Region, Sender: r.Sender,
			Transport: e.Transport, From: from, To: e.To, Reason: r.Reason, At: at,
		}
		changed = true
	}
	isNew, _ := c.circuits.put(key, c.profile.store.self, r)
	c.dirty[circuitKind] = true
	c.counted(isNew)
	return change, changed, isNew
}

// close stamps what was reported since the last tick.
func (c *chainReports) close(stamp uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dirty[circuitKind] {
		c.circuits.close(c, circuitKind, stamp)
	}
	if c.dirty[heightKind] {
		c.heights.close(c, heightKind, stamp)
	}
	if c.dirty[healthKind] {
		c.healths.close(c, healthKind, stamp)
	}
	c.dirty = [3]bool{}
}

func (c *chainReports) dueBy(at int64) {
	if c.due == 0 || at < c.due {
		c.due = at
	}
}

// expire drops what has been forgotten and counts as a change what has turned
// stale; silenced says that senders have. It reports whether the chain is gone.
func (c *chainReports) expire(now int64, silenced bool) (gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if (c.due == 0 || c.due > now) && !(silenced && len(c.circuits) > 0) {
		return c.gone
	}
	before := now
	if c.due > 0 {
		before = min(c.due-1, now) // when those that turn stale now were fresh
	}
	heads := c.heads(before)
	c.noteHeads(heads)
	c.due = 0
	dropped := c.heights.drop(c, heightKind, func(key reportKey, a *said[BlockReport]) bool {
		at := headOf(a, key.provider).At
		if now-at > heightFresh {
			c.judge(&key, a, heads)
		}
		return c.dueAfter(now, at, heightFresh)
	})
	dropped += c.healths.drop(c, healthKind, func(_ reportKey, a *said[HealthReport]) bool {
		return c.dueAfter(now, a.origin.Local(a.report.LastSeenAt), healthFresh)
	})
	dropped += c.circuits.drop(c, circuitKind, func(key reportKey, a *said[CircuitReport]) bool {
		return c.profile.presence.LastSeen(key.sender) != 0 || now-a.origin.Local(a.report.LastSeenAt) < reportKept
	})
	c.forget(dropped)
	return c.gone
}

// forget notes that values were dropped.
func (c *chainReports) forget(dropped int) {
	c.forgetHeads()
	c.count -= dropped
	c.profile.store.latestCount.Add(-int64(dropped))
	c.profile.reportsRevision.Store(c.profile.store.revision.Add(1))
	c.gone = c.count == 0
}

// mute keeps what is wrong with the heights of origins of which nothing is heard any
// more, before they are no longer counted.
func (c *chainReports) mute(origins []*origin, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var heads map[string]*heights.Head
	for key, r := range c.heights {
		for _, o := range origins {
			a := r.of(o)
			if a == nil {
				continue
			}
			if heads == nil {
				heads = c.heads(now)
			}
			c.judge(&key, a, heads)
		}
	}
}

// judge keeps what is wrong with a height that does not count any more.
func (c *chainReports) judge(key *reportKey, a *said[BlockReport], heads map[string]*heights.Head) {
	if a.judged {
		return
	}
	a.judged = true
	seen := headOf(a, key.provider)
	if lag, ahead, ok := c.lag(key.region, heads[key.region], &seen); ok {
		a.wrong, a.detail = wrongHeight(lag, ahead)
	}
}

// dueAfter notes the next of the two instants at which a report changes. It
// reports false for one that is to be forgotten.
func (c *chainReports) dueAfter(now, seen, fresh int64) (kept bool) {
	if now-seen > reportKept {
		return false
	}
	if at := seen + fresh + 1; at > now {
		c.dueBy(at)
	} else {
		c.dueBy(seen + reportKept + 1)
	}
	return true
}
