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
func (sh *shard) retire(r *row) {
	kept := &sh.retired
	if int(r.slot) < sh.summed {
		kept = &sh.aside
	}
	if *kept == nil {
		*kept = make(counters)
	}
	(*kept).own(counterKeyOf(r.series)).Merge(&r.lifetime)
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
		r.add(left)
	}
	if len(r.sums) < r.foldAt {
		return
	}
	living := make(counters)
	for i := range s.shards {
		r.add(s.shards[i].sumOwn(living))
	}
	for k, c := range r.sums {
		if living[k] == nil && k != otherCounters {
			r.sums.sum(otherCounters).Merge(c)
			delete(r.sums, k)
		}
	}
	r.foldAt = max(maxRetired, 2*len(r.sums))
}

// add takes over what a shard has retired.
func (r *retired) add(some counters) {
	for k, c := range some {
		r.sums.own(k).Merge(c)
	}
}

// sumOwn adds up the lifetimes of the rows that this node counts, and hands over those
// that were not collected yet. It is a walk, one at a time, as retired.mu is held: a row
// that goes while it lasts is added up as living or handed over, whichever comes first.
// Of slots 0 to 299 the first 256 are added up, say, when the mutex is away. Row 7 goes: it
// is put aside for the next to collect. Row 290 goes: it is handed over at the end.
func (sh *shard) sumOwn(living counters) (retired counters) {
	var w walk
	w.begin(sh)
	defer w.end()
	for own := sh.local(); sh.summed < len(own.rows); sh.summed++ {
		w.next()
		r := own.rows[sh.summed]
		if r == nil {
			continue
		}
		sum := living.sum(counterKeyOf(r.series))
		sum.Merge(&r.lifetime)
		sum.Merge(&r.owed)
		for _, l := range r.live {
			l.News(sum)
		}
	}
	retired, sh.retired, sh.aside, sh.summed = sh.retired, sh.aside, nil, 0
	return retired
}

// Counters lists what this node counted since it started, by profile, chain, provider
// and transport, in that order. Together the rows are always all that was accepted. A
// row does not go back while its key lives; that of a key that does not may end, and
// is part of the row whose names are all __other__ from then on.
func (s *Store) Counters() []CounterRow {
	s.retired.mu.Lock()
	defer s.retired.mu.Unlock()
	living := make(counters)
	for i := range s.shards {
		s.retired.add(s.shards[i].sumOwn(living))
	}
	sums := make(counters, len(s.retired.sums))
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
