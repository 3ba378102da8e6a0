package store

import (
	"cmp"
	"fmt"
	"slices"
)

// A height is judged by what others say: by the consensus of its chain and region. That
// needs a second witness, so that one who answers with the height of another chain
// condemns nobody. A provider is one witness, however many senders report it.
const (
	consensusPct = 75      // percentile of four heights and more; of two and three it is the second highest
	heightsClose = 10      // blocks; of two heights no further apart the higher counts: nobody lags by that
	heightsApart = 100     // blocks; heights further apart are not of one chain
	headsKept    = 120_000 // ms for which it is known what a consensus was
	headsSampled = 500     // ms between two looks at it
	headSlack    = 5_000   // ms by which a consensus may be younger than what it judges, when there is no older one
	maxHeadMarks = 200_000 // kept of all regions; beyond it each keeps those of its last steps
	headSteps    = 8       // steps that the usual one is learnt from
	supposedStep = 60_000  // ms; of a consensus that was seldom seen to move
	fewSteps     = 3       // that tell too little of it: the first is cut, since nobody saw when it began
	stalledAfter = 10      // usual steps
	leastStall   = 10_000  // ms
)

// headSeen is the height of a provider in a region: the highest that was reported and
// is fresh.
type headSeen struct {
	provider string
	height   uint64
	at       int64 // ms
	told     bool  // its blocks are told of, not asked for: it has no newer one than this
}

// head is what the providers of a chain in a region agree on.
type head struct {
	seen     []headSeen // one a provider, the highest first
	height   uint64
	at       int64 // when somebody first had it, ms
	newest   int64 // by when it was still so, ms
	lone     bool  // there is only one provider: it is no consensus
	disputed bool  // there are only two, of different chains: neither is it
}

// headMark says that a consensus was at a height from an instant (ms) on, and still by
// another.
type headMark struct {
	at, until int64
	height    uint64
	lone      bool // it was none, but the only height, or the lower of two that disagree
}

// headMarks are the marks of a region, oldest first.
type headMarks []headMark

// heads returns what is agreed on now, by region. The caller holds c.mu.
func (c *chainReports) heads(now int64) map[string]*head {
	heads := make(map[string]*head)
	for k, seen := range c.bestHeights(&Filter{}, now) {
		h := heads[k.region]
		if h == nil {
			h = new(head)
			heads[k.region] = h
		}
		h.seen = append(h.seen, seen)
	}
	for region, h := range heads {
		h.agree(c.marks[region])
	}
	return heads
}

type heightPlace struct{ provider, region string }

// bestHeights returns the highest fresh heights that a filter takes, the newest where
// several are equal.
func (c *chainReports) bestHeights(f *Filter, now int64) map[heightPlace]headSeen {
	best := make(map[heightPlace]headSeen)
	for key, r := range c.heights {
		a := r.pick(f[NodeDim])
		if a == nil || !f.takes(&key, false) || !a.fresh(now, heightFresh) {
			continue
		}
		k, s := heightPlace{key.provider, key.region}, headOf(a, key.provider)
		if old, known := best[k]; !known || s.height > old.height || s.height == old.height && s.at > old.at {
			best[k] = s
		}
	}
	return best
}

func (h *head) agree(marks headMarks) {
	slices.SortFunc(h.seen, func(a, b headSeen) int {
		return cmp.Or(cmp.Compare(b.height, a.height), cmp.Compare(a.provider, b.provider))
	})
	n := len(h.seen)
	i := 1 // the second highest
	switch {
	case n == 1:
		h.lone = true
		i = 0
	case n == 2:
		switch apart := h.seen[0].height - h.seen[1].height; {
		case apart <= heightsClose:
			i = 0
		case apart > heightsApart+marks.made(h.seen[0].at, h.seen[1].at):
			h.disputed = true
		}
	case n > 3:
		i = n - (n*consensusPct+99)/100
	}
	h.height, h.at = h.seen[i].height, h.seen[i].at
	var ats []int64
	for j := range h.seen {
		s := &h.seen[j]
		ats = append(ats, s.at)
		if s.height == h.height {
			h.at = min(h.at, s.at)
		}
	}
	slices.Sort(ats)
	h.newest = ats[max(n-2, 0)] // this, too, needs a second witness
}

// mark is the mark that a head adds to those before it, the last of them when it has
// not moved since.
func (m headMarks) mark(h *head) headMark {
	now := headMark{h.at, h.newest, h.height, h.lone || h.disputed}
	if n := len(m); n > 0 {
		switch last := m[n-1]; {
		case last.height == h.height:
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

// sampleHeads notes what is agreed on before a height changes, now and then. The caller
// holds c.mu.
func (c *chainReports) sampleHeads(now int64) {
	if now-c.sampled >= headsSampled {
		c.sampled = now
		c.noteHeads(c.heads(now))
	}
}

func (c *chainReports) noteHeads(heads map[string]*head) {
	for region, h := range heads {
		marks := c.marks[region]
		before, mark := len(marks), marks.mark(h)
		if before > 0 && marks[before-1].height == mark.height {
			marks[before-1] = mark
			continue
		}
		marks = append(marks, mark)
		kept := slices.IndexFunc(marks, func(m headMark) bool { return mark.at-m.at <= headsKept })
		if mark.lone || c.profile.store.headMarks.Load() > maxHeadMarks {
			kept = len(marks)
		}
		marks = slices.Delete(marks, 0, max(min(kept, len(marks)-headSteps-1), 0))
		c.marks[region] = marks
		c.profile.store.headMarks.Add(int64(len(marks) - before))
	}
}

// forgetHeads drops the marks of regions of which there is no height any more.
func (c *chainReports) forgetHeads() {
	if len(c.marks) == 0 {
		return
	}
	known := make(map[string]struct{}, len(c.marks))
	for key := range c.heights {
		known[key.region] = struct{}{}
	}
	for region, marks := range c.marks {
		if _, ok := known[region]; !ok {
			delete(c.marks, region)
			c.profile.store.headMarks.Add(-int64(len(marks)))
		}
	}
}

// step is the usual time (ms) between two moves, and by how many blocks: the medians of
// the last. Both are 0 when none was seen.
func (m headMarks) step() (ms int64, blocks uint64) {
	m = m[max(len(m)-headSteps-1, 0):]
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
func (m headMarks) made(a, b int64) uint64 {
	ms, blocks := m.step()
	if ms <= 0 {
		return 0
	}
	return uint64(float64(max(a, b)-min(a, b)) / float64(ms) * float64(blocks))
}

// lag compares a height with the consensus of now, or, when it was asked for, of when it
// was: it may well be that nobody has asked since. ahead says that it is so much higher
// that it must be of another chain. The caller holds c.mu; h is of now, and may be nil.
func (c *chainReports) lag(region string, h *head, s *headSeen) (blocks int64, ahead, ok bool) {
	marks := c.marks[region]
	if h != nil && h.disputed {
		return 0, false, false
	}
	if h != nil && h.lone {
		h = nil
	}
	mark, ok := headMark{}, false
	consider := func(m headMark) (done bool) {
		if m.lone {
			return false
		}
		if done = s.told || m.at <= s.at; done || m.at <= s.at+headSlack {
			mark, ok = m, true
		}
		return done
	}
	done := h != nil && consider(marks.mark(h))
	for i := len(marks) - 1; i >= 0 && !done; i-- {
		m := marks[i]
		if h == nil && !ok && !m.lone && (s.told || s.at > m.until+headSlack) {
			return 0, false, false // there is none any more
		}
		done = consider(m)
	}
	if !ok {
		return 0, false, false
	}
	blocks = int64(s.height) - int64(mark.height)
	return blocks, blocks > heightsApart+int64(marks.made(s.at, mark.at)), true
}

// wrongHeight says what is wrong with a height, StatusHealthy when nothing is.
func wrongHeight(lag int64, ahead bool) (status Status, detail string) {
	switch {
	case lag < laggingBelow:
		return StatusLagging, fmt.Sprintf("%d blocks behind", -lag)
	case ahead:
		return StatusDegraded, fmt.Sprintf("%d blocks ahead: of another chain?", lag)
	}
	return StatusHealthy, ""
}

// stalled reports whether a consensus, or the only height there is, has stood still for
// much longer than it does, since when, and what it usually takes (ms; 0: not known).
func (m headMarks) stalled(h *head) (since, usual int64, stalled bool) {
	if len(m) > fewSteps {
		usual, _ = m.step()
	}
	most := stalledAfter * int64(supposedStep)
	if usual > 0 {
		most = max(stalledAfter*usual, leastStall)
	}
	since = m.mark(h).at
	return since, usual, !h.disputed && h.newest-since > most
}

// headOf is what a report says of the height of its provider.
func headOf(a *said[BlockReport], provider string) headSeen {
	return headSeen{provider, a.now.Height, a.origin.local(a.now.LastSeenAt), a.now.Source == HeightFromWS}
}
