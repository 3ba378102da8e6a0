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

// value is one of CircuitReport, BlockReport and HealthReport.
type value interface {
	seenAt() int64
	hash() uint64
}

// reported is what is known of one key: what each origin was told last. A sender
// may change the node it reports to, so there may be several; the newest counts.
type reported[V value] struct {
	says []said[V] // by origin, seldom more than one; never empty
	best int       // of says
}

// said is the latest value that one origin was told.
type said[V value] struct {
	origin *origin
	now    V
	dirty  bool // now is not what was closed

	// What the last tick closed is all that leaves this node.
	closed      V
	born, stamp uint32
	share       uint64 // in the origin's digest
}

// of returns what an origin was told, nil when it was told nothing.
func (r *reported[V]) of(o *origin) *said[V] {
	if r == nil {
		return nil
	}
	for i := range r.says {
		if r.says[i].origin == o {
			return &r.says[i]
		}
	}
	return nil
}

// choose finds the newest: by when it was seen, and by origin where that is equal,
// so that all nodes choose alike.
func (r *reported[V]) choose() {
	for i := range r.says {
		if a, b := &r.says[i], &r.says[r.best%len(r.says)]; a.newer(b) {
			r.best = i
		}
	}
	r.best %= len(r.says)
}

func (a *said[V]) newer(b *said[V]) bool {
	x, y := a.origin.local(a.now.seenAt()), b.origin.local(b.now.seenAt())
	if x != y {
		return x > y
	}
	if a.origin.name != b.origin.name {
		return a.origin.name > b.origin.name
	}
	return a.origin.incarnation > b.origin.incarnation
}

// pick returns the newest value of the nodes that a filter takes, nil when there
// is none.
func (r *reported[V]) pick(nodes []string) *said[V] {
	if len(nodes) == 0 {
		return &r.says[r.best]
	}
	var newest *said[V]
	for i := range r.says {
		if s := &r.says[i]; matches(nodes, s.origin.name) && (newest == nil || s.newer(newest)) {
			newest = s
		}
	}
	return newest
}

// close stamps what has changed since the last tick.
func (a *said[V]) close(mark uint64, stamp uint32) {
	if !a.dirty {
		return
	}
	a.dirty = false
	a.closed, a.stamp = a.now, stamp
	if a.born == 0 {
		a.born = stamp
	}
	a.account(mark)
}

// account brings the share in the origin's digest up to date. mark is the hash of
// the key.
func (a *said[V]) account(mark uint64) {
	share := mix(mark^a.closed.hash(), uint64(a.stamp)+1)
	a.origin.digest.Add(share - a.share)
	a.share = share
}

// latestValues are the values of one kind of a chain.
type latestValues[V value] map[reportKey]*reported[V]

// put makes v what an origin was told, unless it knows something newer.
func (m latestValues[V]) put(key reportKey, o *origin, v V) (isNew, ok bool) {
	r := m[key]
	if a := r.of(o); a != nil {
		if v.seenAt() < a.now.seenAt() {
			return false, false
		}
		a.now, a.dirty = v, true
		r.choose()
		return false, true
	}
	if r == nil {
		r = new(reported[V])
		m[key] = r
	}
	r.says = append(r.says, said[V]{origin: o, now: v, dirty: true})
	r.choose()
	return true, true
}

// merge takes over what another origin closed. It reports whether there is one
// more, and whether anything changed.
func (m latestValues[V]) merge(key reportKey, o *origin, v V, born, stamp uint32, mark uint64) (isNew, changed bool) {
	r := m[key]
	a := r.of(o)
	switch {
	case a != nil && a.stamp >= stamp:
		return false, false
	case a == nil:
		if r == nil {
			r = new(reported[V])
			m[key] = r
		}
		r.says = append(r.says, said[V]{origin: o, born: born, share: o.again(mix(mark, uint64(born)))})
		a = &r.says[len(r.says)-1]
		isNew = true
	case a.born != born: // it was dropped there and came again
		a.born, a.share = born, 0
	}
	a.now, a.closed, a.stamp = v, v, stamp
	a.account(mark)
	r.choose()
	return isNew, true
}

// drop removes what keep refuses and returns how many values that were.
func (m latestValues[V]) drop(chain *chainReports, kind byte, keep func(key reportKey, a *said[V]) bool) (dropped int) {
	s := chain.profile.store
	for key, r := range m {
		before := len(r.says)
		for i := 0; i < len(r.says); {
			a := &r.says[i]
			if keep(key, a) {
				i++
				continue
			}
			if a.origin != s.self && a.share != 0 {
				a.origin.drop(mix(chain.mark(kind, key), uint64(a.born)), a.share, s.clock.now()/1000)
			}
			r.says = slices.Delete(r.says, i, i+1)
			dropped++
		}
		if len(r.says) == 0 {
			delete(m, key)
		} else if len(r.says) < before {
			r.best = 0
			r.choose()
		}
	}
	return dropped
}

func (m latestValues[V]) close(c *chainReports, kind byte, stamp uint32) {
	self := c.profile.store.self
	for key, r := range m {
		if a := r.of(self); a != nil && a.dirty {
			a.close(c.mark(kind, key), stamp)
		}
	}
}

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

	mu       sync.RWMutex
	circuits latestValues[CircuitReport]
	heights  latestValues[BlockReport]
	healths  latestValues[HealthReport]
	count    int
	dirty    [3]bool // by kind: values of this node were reported since the last tick
	due      int64   // when the next report turns stale or is dropped, ms; circuits depend on their senders
	gone     bool    // empty and on its way out
}

func newChainReports(p *profile, name string) *chainReports {
	return &chainReports{
		profile: p, name: name,
		circuits: make(latestValues[CircuitReport]),
		heights:  make(latestValues[BlockReport]),
		healths:  make(latestValues[HealthReport]),
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
		r := BlockReport{Profile: c.profile.name, Chain: c.name, Height: e.Height, Source: e.HeightSource, LastSeenAt: e.TS}
		if a := c.heights[key].of(self); a != nil {
			r.ProviderID, r.Region, r.Sender = a.now.ProviderID, a.now.Region, a.now.Sender
		} else {
			key = key.clone()
			r.ProviderID, r.Region, r.Sender = key.provider, key.region, key.sender
		}
		isNew, _ = c.heights.put(key, self, r)
		c.dirty[heightKind] = true
		c.dueBy(e.TS + heightFresh + 1)
	case Health:
		r := HealthReport{
			Profile: c.profile.name, Chain: c.name, Transport: e.Transport, Status: e.Status, LastSeenAt: e.TS,
			ConsecutiveFailures: e.ConsecutiveFailures, ConsecutiveSuccesses: e.ConsecutiveSuccesses,
			HasLatency: e.Sent&FieldLatency != 0, LatencyMicros: e.LatencyMicros,
		}
		if a := c.healths[key].of(self); a != nil {
			r.ProviderID, r.Region, r.Sender, r.Reason = a.now.ProviderID, a.now.Region, a.now.Sender, a.now.Reason
			urgent = a.now.Status != e.Status
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
	from, since := e.From, e.TS
	if known != nil {
		last := &known.says[known.best].now
		if from == CircuitUnknown {
			from = last.State
		}
		if last.State == e.To {
			since = last.SinceAt
		}
	}
	old := known.of(c.profile.store.self)
	r := CircuitReport{Profile: c.profile.name, Chain: c.name, Transport: e.Transport, State: e.To, SinceAt: since, LastSeenAt: e.TS}
	if old != nil {
		r.ProviderID, r.Region, r.Sender, r.Reason = old.now.ProviderID, old.now.Region, old.now.Sender, old.now.Reason
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
			Transport: e.Transport, From: from, To: e.To, Reason: r.Reason, At: e.TS,
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
func (c *chainReports) expire(now int64, silenced bool, senders sightings) (gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if (c.due == 0 || c.due > now) && !(silenced && len(c.circuits) > 0) {
		return c.gone
	}
	c.due = 0
	dropped := c.heights.drop(c, heightKind, func(_ reportKey, a *said[BlockReport]) bool {
		return c.dueAfter(now, a.origin.local(a.now.LastSeenAt), heightFresh)
	})
	dropped += c.healths.drop(c, healthKind, func(_ reportKey, a *said[HealthReport]) bool {
		return c.dueAfter(now, a.origin.local(a.now.LastSeenAt), healthFresh)
	})
	dropped += c.circuits.drop(c, circuitKind, func(key reportKey, a *said[CircuitReport]) bool {
		return senders.of(key.sender) != 0 || now-a.origin.local(a.now.LastSeenAt) < reportKept
	})
	c.forget(dropped)
	return c.gone
}

// forget notes that values were dropped.
func (c *chainReports) forget(dropped int) {
	c.count -= dropped
	c.profile.store.latestCount.Add(-int64(dropped))
	c.profile.reportsRevision.Store(c.profile.store.revision.Add(1))
	c.gone = c.count == 0
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

// consensus returns the consensus height of each region: the 75th percentile, by
// nearest rank, of the fresh heights. The caller holds c.mu.
func (c *chainReports) consensus(now int64) map[string]uint64 {
	byRegion := make(map[string][]uint64)
	for key, r := range c.heights {
		if a := r.pick(nil); a.fresh(now, heightFresh) {
			byRegion[key.region] = append(byRegion[key.region], a.now.Height)
		}
	}
	agreed := make(map[string]uint64, len(byRegion))
	for region, heights := range byRegion {
		slices.Sort(heights)
		agreed[region] = heights[(len(heights)*consensusPct+99)/100-1]
	}
	return agreed
}

// fresh reports whether a value is young enough, and its node heard of.
func (a *said[V]) fresh(now, within int64) bool {
	return now-a.origin.local(a.now.seenAt()) <= within && !a.origin.silent.Load()
}

func (r CircuitReport) seenAt() int64 { return r.LastSeenAt }
func (r BlockReport) seenAt() int64   { return r.LastSeenAt }
func (r HealthReport) seenAt() int64  { return r.LastSeenAt }

func (r CircuitReport) hash() uint64 {
	return mix(portableHash(r.Reason)^uint64(r.LastSeenAt), uint64(r.SinceAt)<<8|uint64(r.State))
}

func (r BlockReport) hash() uint64 {
	return mix(r.Height^uint64(r.Source)<<56, uint64(r.LastSeenAt))
}

func (r HealthReport) hash() uint64 {
	h := mix(portableHash(r.Reason)^uint64(r.LastSeenAt), uint64(r.ConsecutiveFailures)<<32|uint64(r.ConsecutiveSuccesses))
	latency := r.LatencyMicros << 1
	if r.HasLatency {
		latency |= 1
	}
	return mix(h^latency, uint64(r.Status)+1)
}

// changeRing keeps the last circuit changes of a profile, oldest first, in the
// order in which all nodes list them.
type changeRing struct {
	mu       sync.Mutex
	sequence uint64 // of this node's own
	list     []recordedChange
}

type recordedChange struct {
	CircuitChange
	origin *origin
	stamp  uint32 // 0: not closed yet
}

// own keeps a change that was reported to this node.
func (r *changeRing) own(self *origin, c CircuitChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sequence++
	c.Seq = r.sequence
	r.insert(recordedChange{CircuitChange: c, origin: self})
}

// put keeps a change unless it is known. It reports whether it is new.
func (r *changeRing) put(c recordedChange) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.list {
		if r.list[i].origin == c.origin && r.list[i].Seq == c.Seq {
			return false
		}
	}
	r.insert(c)
	return true
}

func (r *changeRing) insert(c recordedChange) {
	at, _ := slices.BinarySearchFunc(r.list, &c, func(a recordedChange, b *recordedChange) int { return a.compare(b) })
	if len(r.list) == changesKept {
		if at == 0 {
			return // older than all
		}
		copy(r.list, r.list[1:at])
		r.list[at-1] = c
		return
	}
	r.list = slices.Insert(r.list, at, c)
}

func (a *recordedChange) compare(b *recordedChange) int {
	x, y := a.origin.local(a.At), b.origin.local(b.At)
	switch {
	case x != y:
		return int(min(max(x-y, -1), 1))
	case a.origin.name != b.origin.name:
		return strings.Compare(a.origin.name, b.origin.name)
	case a.origin.incarnation != b.origin.incarnation:
		return int(min(max(int64(a.origin.incarnation-b.origin.incarnation), -1), 1))
	}
	return int(min(max(int64(a.Seq-b.Seq), -1), 1))
}

func (r *changeRing) close(stamp uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.list {
		if c := &r.list[i]; c.stamp == 0 {
			c.stamp = stamp
		}
	}
}
