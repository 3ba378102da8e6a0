package store

// A Head is how high a chain is in a region, as its providers say.
type Head struct {
	Key, Profile, Chain, Region string
	Height                      uint64 // what they agree on, or the only one
	// Disputed says that there are two providers alone, of heights that are not of one
	// chain: the first two that were seen.
	Disputed bool
	Seen     []SeenHeight // the highest first
	// Stalled says that the height has stood still since SinceAt (ms), for much longer than
	// it usually does, which is UsualMillis; 0: not known.
	Stalled     bool
	SinceAt     int64
	UsualMillis int64
}

// SeenHeight is the height of one provider, the highest of its fresh reports.
type SeenHeight struct {
	ProviderID string
	Height     uint64
}

// Heads lists the heads of the chains and regions that a filter keeps, with a provider
// that it keeps, in no order.
func (s *Store) Heads(f Filter) (list []Head) {
	now := s.clock.now()
	s.eachChain(&f, func(c *chainReports) {
		for region, h := range c.heads(now) {
			if !f.Keeps(RegionDim, region) {
				continue
			}
			head := Head{
				Key: reportName(&f, c.profile.name, c.name, region), Profile: c.profile.name, Chain: c.name, Region: region,
				Height: h.Height, Disputed: h.Disputed,
			}
			kept := false
			for i := range h.Seen {
				head.Seen = append(head.Seen, SeenHeight{h.Seen[i].Provider, h.Seen[i].Height})
				kept = kept || f.Keeps(ProviderDim, h.Seen[i].Provider)
			}
			if !kept {
				continue
			}
			head.SinceAt, head.UsualMillis, head.Stalled = c.marks[region].Stalled(h)
			head.SinceAt = s.clock.shown(head.SinceAt)
			list = append(list, head)
		}
	})
	return list
}
