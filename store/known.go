package store

import (
	"cmp"
	"math/bits"
	"slices"

	"remuda/store/cell"
)

// A rate is calls divided by the time that is known of, the same for all rows of an
// answer. That is the time of the runs of nodes (this one's since its start, those of
// members it has met since theirs, those of runs that ended until their last call),
// and before a run began each second for which it was told of calls all the same:
// what gateways had kept for it. Less than a minute between two known times is known
// too, since a quiet gateway may have had nothing to tell; more is not, so that one
// stray event vouches for its own step alone.
const patched = 60_000 // ms

// A span is a stretch of time in ms, of this node's clock.
type span struct{ from, to int64 }

// knownTime is spans that do not touch, oldest first.
type knownTime []span

// within is how much of a stretch is known, in ms.
func (k knownTime) within(from, to int64) (total int64) {
	for _, s := range k {
		total += max(min(s.to, to)-max(s.from, from), 0)
	}
	return total
}

// knownTime says what is known of some profiles in [from, now].
func (s *Store) knownTime(profiles []string, from, now int64) knownTime {
	if s.began <= from { // so it mostly is
		return knownTime{{from, now}}
	}
	s.originsMu.Lock()
	origins := make([]*origin, 0, len(s.origins))
	for _, o := range s.origins {
		origins = append(origins, o)
	}
	s.originsMu.Unlock()
	list := make(knownTime, 0, len(origins))
	for _, o := range origins {
		to := now
		if o != s.self && !o.met.Load() {
			to = o.Local(o.newest.Load())
		}
		if began := o.Local(o.began); began < to {
			list = append(list, span{began, to})
		}
		list = o.earlySpans(list, profiles)
	}
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	joined := list[:0]
	for _, next := range list {
		if n := len(joined); n > 0 && next.from-joined[n-1].to < patched {
			joined[n-1].to = max(joined[n-1].to, next.to)
			continue
		}
		joined = append(joined, next)
	}
	return joined
}

// covered is how much of a window is known of some profiles, in ms.
func (s *Store) covered(profiles []string, w cell.Window, now int64) int64 {
	begin := w.Start(now/1000) * w.Tier().Seconds() * 1000
	return s.knownTime(profiles, begin, now).within(begin, now)
}

// earlyTime has a bit for each second before a run began of which it was told calls.
// The index counts back from the second of the beginning.
type earlyTime [rememberStart/1000/64 + 1]uint64

func (e *earlyTime) has(i int64) bool { return e[i/64]>>(i%64)&1 != 0 }

// vouch notes that a run was told of calls in a step before it began. The seconds of
// a coarser step are not told apart: all count, unless finer cells said which.
func (o *origin) vouch(p *profile, tier cell.Tier, step int64) {
	length := tier.Seconds()
	began := o.began / 1000
	last := began - step*length // index of its first second
	first := last - length + 1
	if first < 1 || last >= int64(len(earlyTime{}))*64 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.early[p]
	if e == nil {
		if o.early == nil {
			o.early = make(map[*profile]*earlyTime)
		}
		e = new(earlyTime)
		o.early[p] = e
	}
	for i := first; i <= last; i++ {
		if e.has(i) {
			return
		}
	}
	for i := first; i <= last; i++ {
		e[i/64] |= 1 << (i % 64)
	}
}

// early reports whether a step of a tier begins before the run did.
func (o *origin) earlyStep(tier cell.Tier, step int64) bool {
	return step*tier.Seconds() < o.began/1000
}

// earlySpans appends what the run was told of before it began.
func (o *origin) earlySpans(list knownTime, profiles []string) knownTime {
	o.mu.Lock()
	defer o.mu.Unlock()
	began := o.Local(o.began / 1000 * 1000)
	for p, e := range o.early {
		if !matches(profiles, p.name) {
			continue
		}
		to := int64(0) // index after that of a stretch under way, from its newest second
		for word, set := range e {
			for ; set != 0; set &= set - 1 {
				i := int64(word*64 + bits.TrailingZeros64(set))
				if n := len(list); to == i && to > 0 {
					list[n-1].from -= 1000
				} else {
					list = append(list, span{began - i*1000, began - i*1000 + 1000})
				}
				to = i + 1
			}
		}
	}
	return list
}

// forgetEarly drops what was noted of a profile that is gone.
func (s *Store) forgetEarly(p *profile) {
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	for _, o := range s.origins {
		o.mu.Lock()
		delete(o.early, p)
		o.mu.Unlock()
	}
}
