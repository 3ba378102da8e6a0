package store

import (
	"slices"

	"remuda/store/cell"
)

// Usage says what the store holds and what it may hold.
func (s *Store) Usage() Usage {
	bytes, identities, period := s.dedup.Usage()
	s.profilesMu.RLock()
	profiles := len(s.profiles)
	s.profilesMu.RUnlock()
	return Usage{
		Series: int(s.seriesCount.Load()), MaxSeries: s.options.MaxSeries, MaxSeriesPerProfile: s.options.MaxSeriesPerProfile,
		Profiles: profiles, MaxProfiles: maxProfiles,
		LatestValues: int(s.latestCount.Load()), MaxLatestValues: s.options.MaxLatestValues,
		Senders: int(s.senderCount.Load()), MaxSenders: maxSenders,
		Categories: s.categories.Len(), MaxCategories: cell.MaxCategories,
		OverflowCalls: s.overflow.Load(),
		DedupBytes:    bytes, MaxDedupBytes: s.options.DedupBytes, DedupIdentities: identities, DedupPeriod: period,
		TotalBytes: s.totalBytes.Load(), MaxTotalBytes: s.options.TotalBytes,
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
