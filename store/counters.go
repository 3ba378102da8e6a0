package store

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"remuda/store/cell"
	"remuda/store/ids"
)

// counterKey names a row of [Store.Counters].
type counterKey struct {
	profile, chain, provider string
	transport                Transport
}

func counterKeyOf(s *series) counterKey {
	return counterKey{s.dim(ProfileDim), s.dim(ChainDim), s.dim(ProviderDim), s.transport()}
}

// otherCounters is the key of what is no longer told apart.
var otherCounters = counterKey{ids.Other, ids.Other, ids.Other, HTTP}

// counters are lifetime totals.
type counters map[counterKey]*cell.Sums

// sum returns the counts of a key, made when there are none yet.
func (c counters) sum(k counterKey) *cell.Sums {
	sum := c[k]
	if sum == nil {
		sum = new(cell.Sums)
		c[k] = sum
	}
	return sum
}

// own is sum with a key that keeps nothing else alive.
func (c counters) own(k counterKey) *cell.Sums {
	if c[k] == nil {
		k = counterKey{strings.Clone(k.profile), strings.Clone(k.chain), strings.Clone(k.provider), k.transport}
	}
	return c.sum(k)
}

// maxRetired is for how many keys without a row lifetime totals are kept. Beyond it
// those of all such keys are added up under one, and it begins anew.
const maxRetired = 20_000

// retired keeps the lifetime totals of rows that have aged out, so that counters
// never go back. Rows leave theirs with their shard, whose mutex makes a row live or
// retired, never both, and a tick collects them here.
type retired struct {
	// mu is held for the time of a walk over the shards, whose mutexes are taken one at
	// a time under it: who collects and who reads must not pass each other on the way.
	// Nothing else takes both.
	mu     sync.Mutex
	sums   counters
	foldAt int // keys, from which those without a row are looked for
}

// retire keeps the lifetime of a row that goes.
func (sh *shard) retire(s *series, lifetime *cell.Sums) {
	if sh.retired == nil {
		sh.retired = make(counters)
	}
	sh.retired.own(counterKeyOf(s)).Merge(lifetime)
}

// collectRetired takes over what shards have retired. While somebody reads it is left
// to the next tick.
func (s *Store) collectRetired() {
	r := &s.retired
	if !r.mu.TryLock() {
		return
	}
	defer r.mu.Unlock()
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		left := sh.retired
		sh.retired = nil
		sh.mu.Unlock()
		for k, c := range left {
			r.sums.own(k).Merge(c)
		}
	}
	if len(r.sums) < r.foldAt {
		return
	}
	living := make(counters)
	for i := range s.shards {
		s.shards[i].sumOwn(living, nil)
	}
	for k, c := range r.sums {
		if living[k] == nil && k != otherCounters {
			r.sums.sum(otherCounters).Merge(c)
			delete(r.sums, k)
		}
	}
	r.foldAt = max(maxRetired, 2*len(r.sums))
}

// sumOwn adds up the lifetimes of the rows that this node counts, and, unless it is nil,
// in retired those that were not collected yet.
func (sh *shard) sumOwn(living, retired counters) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for m := sh.newest; m != nil; m = m.prev {
		for _, r := range m.rows {
			if r.origin != sh.local() {
				continue
			}
			sum := living.sum(counterKeyOf(m))
			sum.Merge(&r.lifetime)
			sum.Merge(&r.owed)
			for _, l := range r.live {
				l.News(sum)
			}
		}
	}
	if retired == nil {
		return
	}
	for k, c := range sh.retired {
		retired.sum(k).Merge(c)
	}
}

// Counters lists what this node counted since it started, by profile, chain, provider
// and transport, in that order. Together the rows are always all that was accepted. A
// row does not go back while its key lives; that of a key that does not may end, and
// is part of the row whose names are all __other__ from then on.
func (s *Store) Counters() []CounterRow {
	s.retired.mu.Lock()
	defer s.retired.mu.Unlock()
	living, sums := make(counters), make(counters, len(s.retired.sums))
	for i := range s.shards {
		s.shards[i].sumOwn(living, sums)
	}
	for _, some := range []counters{s.retired.sums, living} {
		for k, c := range some {
			sums.sum(k).Merge(c)
		}
	}
	list := make([]CounterRow, 0, len(sums))
	for k, c := range sums {
		list = append(list, CounterRow{
			Profile: k.profile, Chain: k.chain, ProviderID: k.provider, Transport: k.transport, Living: living[k] != nil,
			Counts: c.Counts, LatencySumMicros: c.LatencySum(),
		})
	}
	slices.SortFunc(list, func(a, b CounterRow) int {
		return cmp.Or(strings.Compare(a.Profile, b.Profile), strings.Compare(a.Chain, b.Chain),
			strings.Compare(a.ProviderID, b.ProviderID), cmp.Compare(a.Transport, b.Transport))
	})
	return list
}
