package store

import (
	"fmt"

	"remuda/store/heights"
)

// How heights are kept for package heights to judge.
const (
	headsSampled = 500     // ms between two looks at a consensus
	maxHeadMarks = 200_000 // kept of all regions; beyond it each keeps those of its last steps
)

// heads returns what is agreed on now, by region. The caller holds c.mu.
func (c *chainReports) heads(now int64) map[string]*heights.Head {
	seen := make(map[string][]heights.Seen)
	for k, s := range c.bestHeights(&Filter{}, now) {
		seen[k.region] = append(seen[k.region], s)
	}
	heads := make(map[string]*heights.Head, len(seen))
	for region, list := range seen {
		heads[region] = heights.Agree(list, c.marks[region])
	}
	return heads
}

type heightPlace struct{ provider, region string }

// bestHeights returns the highest fresh heights that a filter takes, the newest where
// several are equal.
func (c *chainReports) bestHeights(f *Filter, now int64) map[heightPlace]heights.Seen {
	best := make(map[heightPlace]heights.Seen)
	for key, r := range c.heights {
		a := r.pick(f[NodeDim])
		if a == nil || !f.takes(&key, false) || !a.fresh(now, heightFresh) {
			continue
		}
		k, s := heightPlace{key.provider, key.region}, headOf(a, key.provider)
		if old, known := best[k]; !known || s.Height > old.Height || s.Height == old.Height && s.At > old.At {
			best[k] = s
		}
	}
	return best
}

// sampleHeads notes what is agreed on before a height changes, now and then. The caller
// holds c.mu.
func (c *chainReports) sampleHeads(now int64) {
	if now-c.sampledAt >= headsSampled {
		c.sampledAt = now
		c.noteHeads(c.heads(now))
	}
}

func (c *chainReports) noteHeads(heads map[string]*heights.Head) {
	for region, h := range heads {
		before := c.marks[region]
		kept := len(before)
		marks := before.Note(h, c.profile.store.headMarks.Load() > maxHeadMarks)
		c.marks[region] = marks
		c.profile.store.headMarks.Add(int64(len(marks) - kept))
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

// lag is how far a height is from the consensus of its region; h is that of now, nil when
// there is none. The caller holds c.mu.
func (c *chainReports) lag(region string, h *heights.Head, s *heights.Seen) (blocks int64, ahead, ok bool) {
	return c.marks[region].Lag(h, s)
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

// headOf is what a report says of the height of its provider.
func headOf(a *said[BlockReport], provider string) heights.Seen {
	return heights.Seen{
		Provider: provider, Height: a.report.Height, At: a.origin.Local(a.report.LastSeenAt), Told: a.report.Source == HeightFromWS,
	}
}
