package store

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// eachChain calls f, under the chain's mutex, for every chain with reports that
// a filter takes.
func (s *Store) eachChain(f *Filter, do func(c *chainReports)) {
	for _, p := range s.allProfiles() {
		if !matches(f[ProfileDim], p.name) {
			continue
		}
		for _, c := range p.allChains() {
			if !matches(f[ChainDim], c.name) {
				continue
			}
			c.mu.RLock()
			do(c)
			c.mu.RUnlock()
		}
	}
}

// takes reports whether a filter takes a report; transport counts for kinds that have one.
func (f *Filter) takes(k *reportKey, hasTransport bool) bool {
	return matches(f[ProviderDim], k.provider) && matches(f[RegionDim], k.region) &&
		(!hasTransport || matches(f[TransportDim], k.transport.String()))
}

// reportName is the key of a report: its dimensions joined, the profile first
// when a filter lets several through.
func reportName(f *Filter, profile string, parts ...string) string {
	if len(f[ProfileDim]) != 1 {
		parts = append([]string{profile}, parts...)
	}
	return strings.Join(parts, "/")
}

// Circuits lists the latest report of every breaker by every sender, by key.
func (s *Store) Circuits(f Filter) []CircuitReport {
	now := s.clock.now()
	var list []CircuitReport
	s.eachChain(&f, func(c *chainReports) {
		for key, r := range c.circuits {
			a := r.pick(f[NodeDim])
			if a == nil || !f.takes(&key, true) {
				continue
			}
			row, o := a.report, a.origin
			row.Stale = !c.profile.presence.Trusts(key.sender, now) || o.silent.Load()
			row.SinceAt, row.LastSeenAt = s.shown(o, row.SinceAt), s.shown(o, row.LastSeenAt)
			row.Key = reportName(&f, row.Profile, row.Chain, row.ProviderID, row.Transport.String(), row.Region, row.Sender)
			list = append(list, row)
		}
	})
	slices.SortFunc(list, func(a, b CircuitReport) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// Blocks lists the latest height of every provider by every sender, by key.
func (s *Store) Blocks(f Filter) []BlockReport {
	now := s.clock.now()
	var list []BlockReport
	s.eachChain(&f, func(c *chainReports) {
		heads := c.heads(now)
		for key, r := range c.heights {
			a := r.pick(f[NodeDim])
			if a == nil || !f.takes(&key, false) {
				continue
			}
			row := a.report
			row.Stale = !a.fresh(now, heightFresh)
			row.LastSeenAt = s.shown(a.origin, row.LastSeenAt)
			if seen := headOf(a, key.provider); !row.Stale {
				row.LagBlocks, _, row.HasLag = c.lag(key.region, heads[key.region], &seen)
			}
			row.Key = reportName(&f, row.Profile, row.Chain, row.ProviderID, row.Region, row.Sender)
			list = append(list, row)
		}
	})
	slices.SortFunc(list, func(a, b BlockReport) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// Healths lists the latest health of every provider by every sender, by key.
func (s *Store) Healths(f Filter) []HealthReport {
	now := s.clock.now()
	var list []HealthReport
	s.eachChain(&f, func(c *chainReports) {
		for key, r := range c.healths {
			a := r.pick(f[NodeDim])
			if a == nil || !f.takes(&key, true) {
				continue
			}
			row := a.report
			row.Stale = !a.fresh(now, healthFresh)
			row.LastSeenAt = s.shown(a.origin, row.LastSeenAt)
			row.Key = reportName(&f, row.Profile, row.Chain, row.ProviderID, row.Transport.String(), row.Region, row.Sender)
			list = append(list, row)
		}
	})
	slices.SortFunc(list, func(a, b HealthReport) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// CircuitChanges lists the last transitions, newest first.
func (s *Store) CircuitChanges(f Filter) []CircuitChange {
	var list []CircuitChange
	for _, p := range s.allProfiles() {
		if !matches(f[ProfileDim], p.name) {
			continue
		}
		p.changes.mu.Lock()
		for _, r := range slices.Backward(p.changes.list) {
			c := r.CircuitChange
			key := reportKey{provider: c.ProviderID, region: c.Region, transport: c.Transport}
			if matches(f[ChainDim], c.Chain) && f.takes(&key, true) && matches(f[NodeDim], r.origin.name) {
				c.At = s.shown(r.origin, c.At)
				c.Key = reportName(&f, c.Profile, r.origin.name, strconv.FormatUint(c.Seq, 10))
				list = append(list, c)
			}
		}
		p.changes.mu.Unlock()
	}
	slices.SortStableFunc(list, func(a, b CircuitChange) int {
		return cmp.Or(cmp.Compare(b.At, a.At), strings.Compare(a.Profile, b.Profile)) // profiles come in any order
	})
	return list
}

// providerKey names a provider on a chain, over profiles.
type providerKey struct{ chain, provider string }

// providerReports is what fresh reports say about a provider on a chain.
type providerReports struct {
	circuit                     [numTransports]CircuitState
	circuitsOpen, circuitsKnown int
	hasHeight                   bool
	height                      uint64
	hasLag                      bool
	lag, ahead                  int64
	hasHealth                   bool
	health                      HealthStatus
	failures                    uint32
	regions                     []string // sorted
	silences                    *silences
}

// reportsBy merges the reports that a filter takes, by provider: fresh ones, and what
// was bad and is not heard of any more.
func (s *Store) reportsBy(f *Filter) map[providerKey]*providerReports {
	now := s.clock.now()
	merged := make(map[providerKey]*providerReports)
	of := func(chain string, key *reportKey) *providerReports {
		k := providerKey{chain, key.provider}
		p := merged[k]
		if p == nil {
			p = new(providerReports)
			merged[k] = p
		}
		return p
	}
	at := func(chain string, key *reportKey) *providerReports {
		p := of(chain, key)
		p.regions = append(p.regions, key.region)
		return p
	}
	s.eachChain(f, func(c *chainReports) {
		for key, r := range c.circuits {
			a := r.pick(f[NodeDim])
			if a == nil || !f.takes(&key, true) || !c.profile.presence.Trusts(key.sender, now) || a.origin.silent.Load() {
				continue
			}
			p := at(c.name, &key)
			p.circuit[key.transport] = max(p.circuit[key.transport], a.report.State)
			p.circuitsKnown++
			if a.report.State == CircuitOpen {
				p.circuitsOpen++
			}
		}
		for key, r := range c.healths {
			a := r.pick(f[NodeDim])
			if a == nil || !f.takes(&key, true) || !a.fresh(now, healthFresh) {
				continue
			}
			p := at(c.name, &key)
			p.hasHealth = true
			p.health = max(p.health, a.report.Status)
			p.failures = max(p.failures, a.report.ConsecutiveFailures)
		}
		c.mergeHeights(f, now, at)
		c.silenced(f, now, func(key *reportKey) *silences {
			p := of(c.name, key)
			if p.silences == nil {
				p.silences = new(silences)
			}
			return p.silences
		})
	})
	for _, p := range merged {
		slices.Sort(p.regions)
		p.regions = slices.Compact(p.regions)
	}
	return merged
}

// mergeHeights sets the height of providers, the highest fresh one, and their lag: in
// each region by the provider's highest fresh height, and of these the worst.
func (c *chainReports) mergeHeights(f *Filter, now int64, at func(chain string, key *reportKey) *providerReports) {
	best := c.bestHeights(f, now)
	if len(best) == 0 {
		return
	}
	heads := c.heads(now)
	for k, seen := range best {
		p := at(c.name, &reportKey{provider: k.provider, region: k.region})
		p.hasHeight = true
		p.height = max(p.height, seen.Height)
		lag, ahead, ok := c.lag(k.region, heads[k.region], &seen)
		if !ok {
			continue
		}
		if !p.hasLag || lag < p.lag {
			p.hasLag, p.lag = true, lag
		}
		if ahead {
			p.ahead = max(p.ahead, lag)
		}
	}
}

// reportsRevision is the revision of the newest change of any report that a
// filter may take.
func (s *Store) reportsRevision(f *Filter) (newest uint64) {
	for _, p := range s.allProfiles() {
		if matches(f[ProfileDim], p.name) {
			newest = max(newest, p.reportsRevision.Load())
		}
	}
	return newest
}
