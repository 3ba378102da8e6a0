// Package heights judges the heights of a chain that providers in one region tell of: what
// they agree on, how far a height is behind that, and whether it stands still. It takes
// values and instants, and keeps nothing.
package heights

import (
	"cmp"
	"slices"
)

// A height is judged by what others say: by the consensus of its chain and region. That
// needs a second witness, so that one who answers with the height of another chain
// condemns nobody. A provider is one witness, however many senders report it.
const (
	// Kept is for how long (ms) it is known what a consensus was.
	Kept = 120_000
	// Steps are the moves that the usual one is learnt from. The marks of these are kept
	// however old they are.
	Steps = 8

	consensusPct = 75     // percentile of four heights and more; of two and three it is the second highest
	closeBy      = 10     // blocks; of two heights no further apart the higher counts: nobody lags by that
	farApart     = 100    // blocks; heights further apart are not of one chain
	slack        = 5_000  // ms by which a consensus may be younger than what it judges, when there is no older one
	supposedStep = 60_000 // ms; of a consensus that was seldom seen to move
	fewSteps     = 3      // that tell too little of it: the first is cut, since nobody saw when it began
	stalledAfter = 10     // usual steps
	leastStall   = 10_000 // ms
)

// Seen is the height of a provider: the highest that was reported and is fresh.
type Seen struct {
	Provider string
	Height   uint64
	At       int64 // ms
	Told     bool  // its blocks are told of, not asked for: it has no newer one than this
}

// A Head is what providers agree on.
type Head struct {
	Seen     []Seen // one a provider, the highest first
	Height   uint64
	Disputed bool // there are only two, of different chains: neither is it

	at     int64 // when somebody first had it, ms
	newest int64 // by when it was still so, ms
	lone   bool  // there is only one provider: it is no consensus
}

// Marks are what a consensus was, oldest first. The zero value is of one that nothing is
// known of.
type Marks []mark

// mark says that a consensus was at a height from an instant (ms) on, and still by
// another.
type mark struct {
	at, until int64
	height    uint64
	lone      bool // it was none, but the only height, or the lower of two that disagree
}

// Agree says what providers agree on, each of which is in the list once. It keeps the list
// and sorts it. Of four that say 100, 100, 98 and 40 it is 100: the percentile passes over
// one of them, whoever is ahead of all others. Of 120 and 100 it is 100, since one witness
// alone condemns nobody; of 105 and 100 it is 105, since nobody lags by so little; of 500 and 100
// neither, unless the chain makes 300 blocks in the time between the two reports.
func Agree(seen []Seen, marks Marks) *Head {
	h := &Head{Seen: seen}
	slices.SortFunc(h.Seen, func(a, b Seen) int {
		return cmp.Or(cmp.Compare(b.Height, a.Height), cmp.Compare(a.Provider, b.Provider))
	})
	n := len(h.Seen)
	i := 1 // the second highest
	switch {
	case n == 1:
		h.lone = true
		i = 0
	case n == 2:
		switch apart := h.Seen[0].Height - h.Seen[1].Height; {
		case apart <= closeBy:
			i = 0
		case apart > farApart+marks.made(h.Seen[0].At, h.Seen[1].At):
			h.Disputed = true
		}
	case n > 3:
		i = n - (n*consensusPct+99)/100
	}
	h.Height, h.at = h.Seen[i].Height, h.Seen[i].At
	var ats []int64
	for j := range h.Seen {
		s := &h.Seen[j]
		ats = append(ats, s.At)
		if s.Height == h.Height {
			h.at = min(h.at, s.At)
		}
	}
	slices.Sort(ats)
	h.newest = ats[max(n-2, 0)] // this, too, needs a second witness
	return h
}

// mark is the mark that a head adds to those before it, the last of them when it has
// not moved since.
func (m Marks) mark(h *Head) mark {
	now := mark{h.at, h.newest, h.Height, h.lone || h.Disputed}
	if n := len(m); n > 0 {
		switch last := m[n-1]; {
		case last.height == h.Height:
			if now.lone && !last.lone {
				return last
			}
			now.at = last.at
		case last.at >= h.at: // it went back, to what was seen before
			now.at = max(last.at, h.newest)
		}
	}
	return now
}

// Note adds what is agreed on now. What is older than Kept goes, but for the last Steps;
// when room is scarce all but those.
func (m Marks) Note(h *Head, scarce bool) Marks {
	last := len(m) - 1
	now := m.mark(h)
	if last >= 0 && m[last].height == now.height {
		m[last] = now
		return m
	}
	m = append(m, now)
	kept := slices.IndexFunc(m, func(old mark) bool { return now.at-old.at <= Kept })
	if now.lone || scarce {
		kept = len(m)
	}
	return slices.Delete(m, 0, max(min(kept, len(m)-Steps-1), 0))
}

// step is the usual time (ms) between two moves, and by how many blocks: the medians of
// the last. Both are 0 when none was seen.
func (m Marks) step() (ms int64, blocks uint64) {
	m = m[max(len(m)-Steps-1, 0):]
	if len(m) < 2 {
		return 0, 0
	}
	var took []int64
	var moved []uint64
	for i, mark := range m[1:] {
		took = append(took, mark.at-m[i].at)
		moved = append(moved, max(mark.height, m[i].height)-min(mark.height, m[i].height))
	}
	slices.Sort(took)
	slices.Sort(moved)
	return took[len(took)/2], moved[len(moved)/2]
}

// made is how many blocks a chain makes between two instants.
func (m Marks) made(a, b int64) uint64 {
	ms, blocks := m.step()
	if ms <= 0 {
		return 0
	}
	return uint64(float64(max(a, b)-min(a, b)) / float64(ms) * float64(blocks))
}

// Lag compares a height with the consensus of now, or, when it was asked for, of when it
// was: it may well be that nobody has asked since. ahead says that it is so much higher
// that it must be of another chain. h is what is agreed on now, and may be nil.
//
// Say a chain makes a block a second, and the consensus has been at 100 since 0:00, at 101
// since 0:01, and so on to 130 at 0:30. A provider that tells of its blocks and last told of
// 128 lags by 2, whenever that was. One that was asked at 0:10 and had 110 then lags by
// none: it is compared with the mark of 0:10. One that had 108 then lags by 2.
func (m Marks) Lag(h *Head, s *Seen) (blocks int64, ahead, ok bool) {
	if h != nil && h.Disputed {
		return 0, false, false
	}
	if h != nil && h.lone {
		h = nil
	}
	var judge mark
	consider := func(one mark) (done bool) {
		if one.lone {
			return false
		}
		if done = s.Told || one.at <= s.At; done || one.at <= s.At+slack {
			judge, ok = one, true
		}
		return done
	}
	done := h != nil && consider(m.mark(h))
	for i := len(m) - 1; i >= 0 && !done; i-- {
		one := m[i]
		if h == nil && !ok && !one.lone && (s.Told || s.At > one.until+slack) {
			return 0, false, false // there is none any more
		}
		done = consider(one)
	}
	if !ok {
		return 0, false, false
	}
	blocks = int64(s.Height) - int64(judge.height)
	return blocks, blocks > farApart+int64(m.made(s.At, judge.at)), true
}

// Stalled reports whether a consensus, or the only height there is, has stood still for
// much longer than it does, since when, and what it usually takes (ms; 0: not known).
func (m Marks) Stalled(h *Head) (since, usual int64, stalled bool) {
	if len(m) > fewSteps {
		usual, _ = m.step()
	}
	most := stalledAfter * int64(supposedStep)
	if usual > 0 {
		most = max(stalledAfter*usual, leastStall)
	}
	since = m.mark(h).at
	return since, usual, !h.Disputed && h.newest-since > most
}
