package store

import (
	"cmp"
	"slices"
	"strings"
)

// Usage says what the store holds and what it may hold.
func (s *Store) Usage() Usage {
	bytes, identities, period := s.dedup.usage()
	s.profilesMu.RLock()
	profiles := len(s.profiles)
	s.profilesMu.RUnlock()
	return Usage{
		Series: int(s.seriesCount.Load()), MaxSeries: s.options.MaxSeries, MaxSeriesPerProfile: s.options.MaxSeriesPerProfile,
		Profiles: profiles, MaxProfiles: maxProfiles,
		LatestValues: int(s.latestCount.Load()), MaxLatestValues: s.options.MaxLatestValues,
		Senders: int(s.senderCount.Load()), MaxSenders: maxSenders,
		Categories: s.categories.len(), MaxCategories: maxCategories,
		OverflowCalls: s.overflow.Load(),
		DedupBytes:    bytes, MaxDedupBytes: s.options.DedupBytes, DedupIdentities: identities, DedupPeriod: period,
		ClockSteps:     s.clock.steps.Load(),
		EventsAccepted: s.accepted.Load(), EventsDuplicate: s.duplicates.Load(),
	}
}

// Profiles lists the known profiles, sorted.
func (s *Store) Profiles() []string {
	var names []string
	for _, p := range s.allProfiles() {
		names = append(names, p.name)
	}
	slices.Sort(names)
	return names
}

// counterKey names a row of [Store.Counters].
type counterKey struct {
	profile, chain, provider string
	transport                Transport
}

func counterKeyOf(s *series) counterKey {
	return counterKey{s.dim(ProfileDim), s.dim(ChainDim), s.dim(ProviderDim), s.transport()}
}

// maxRetired bounds the counters that a shard keeps of rows that have aged out;
// beyond it they are added up under one key.
const maxRetired = 256

// retired keeps the lifetime totals of rows that have aged out, so that counters
// never go back. It is guarded by the mutex of its shard, which makes a row live
// or retired, never both.
type retired map[counterKey]*counts

func (r retired) add(s *series, c *counts) {
	key := counterKeyOf(s)
	if r[key] == nil {
		if len(r) < maxRetired {
			key = counterKey{strings.Clone(key.profile), strings.Clone(key.chain), strings.Clone(key.provider), key.transport}
		} else {
			key = counterKey{otherName, otherName, otherName, HTTP}
		}
	}
	r.sum(key).merge(c)
}

// sum returns the counts of a key, made when there are none yet.
func (r retired) sum(k counterKey) *counts {
	c := r[k]
	if c == nil {
		c = new(counts)
		r[k] = c
	}
	return c
}

// Counters lists what this node counted since it started, by profile, chain,
// provider and transport.
func (s *Store) Counters() []CounterRow {
	sums := make(retired)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for m := sh.newest; m != nil; m = m.prev {
			for _, r := range m.rows {
				if r.origin == sh.local() {
					sum := sums.sum(counterKeyOf(m))
					sum.merge(&r.lifetime)
					sum.merge(&r.owed)
					for _, l := range r.live {
						l.news(sum)
					}
				}
			}
		}
		for k, c := range sh.retired {
			sums.sum(k).merge(c)
		}
		sh.mu.Unlock()
	}
	list := make([]CounterRow, 0, len(sums))
	for k, c := range sums {
		list = append(list, CounterRow{
			Profile: k.profile, Chain: k.chain, ProviderID: k.provider, Transport: k.transport,
			Calls: c.calls, Errors: c.errors, ProviderErrors: c.providerErrors, Requests: c.requests,
			RequestErrors: c.requestErrors, Failovers: c.failovers, Samples: c.samples, LatencySumMicros: c.sum.float(),
		})
	}
	slices.SortFunc(list, func(a, b CounterRow) int {
		return cmp.Or(strings.Compare(a.Profile, b.Profile), strings.Compare(a.Chain, b.Chain),
			strings.Compare(a.ProviderID, b.ProviderID), cmp.Compare(a.Transport, b.Transport))
	})
	return list
}
