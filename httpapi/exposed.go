package httpapi

import (
	"cmp"
	"slices"
	"sync"

	"remuda/store"
	"remuda/store/cell"
)

// exposed chooses the label sets of the exposition. Every set is a line in each
// metric of calls and lives in Prometheus for ever, so they are bounded: the living come
// first, of those the ones that are exposed already, then the busiest. All others are
// added up in a set of their own, so that the sum over sets is what was counted.
//
// Nothing exposed goes back. A set stays until it has aged out and another needs its
// place; what it counted is then part of the others. One that comes out of the others
// begins at zero, since what it had counted until then stays with them.
type exposed struct {
	limit int

	mu      sync.Mutex
	shown   map[labelSet]callCounts // with what of each stays with the others
	hidden  map[labelSet]bool       // part of the others at the last scrape
	latency float64                 // of the others
}

type labelSet struct {
	profile, chain, provider string
	transport                store.Transport
}

func labelsOf(r *store.CounterRow) labelSet {
	return labelSet{r.Profile, r.Chain, r.ProviderID, r.Transport}
}

func (l labelSet) values() []string {
	return []string{l.profile, l.chain, l.provider, l.transport.String()}
}

// other is each label of the set that stands for all the others, and of the row of
// what the store does not tell apart. No id begins so.
const other = "__other__"

var otherLabels = []string{other, other, other, other}

// callCounts are what is exposed of a label set.
type callCounts struct {
	cell.Counts
	latency float64 // µs
}

func countsOf(r *store.CounterRow) callCounts { return callCounts{r.Counts, r.LatencySumMicros} }

func (c *callCounts) add(o *callCounts) {
	c.Merge(&o.Counts)
	c.latency += o.latency
}

func (c *callCounts) subtract(o *callCounts) {
	c.Subtract(&o.Counts)
	c.latency -= o.latency
}

func newExposed(limit int) *exposed {
	return &exposed{limit: limit, hidden: make(map[labelSet]bool)}
}

// count is how many label sets are exposed.
func (e *exposed) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.shown)
}

// exposedSet is a label set with what is exposed of it.
type exposedSet struct {
	labels []string
	callCounts
}

// collect returns the label sets, that of the others last, and whether there are others.
// Scrapes take turns.
func (e *exposed) collect(s *store.Store) (sets []exposedSet, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rows := s.Counters()
	e.choose(rows)
	sets = make([]exposedSet, 0, len(e.shown)+1)
	var others callCounts
	clear(e.hidden)
	for i := range rows {
		labels, c := labelsOf(&rows[i]), countsOf(&rows[i])
		kept, ok := e.shown[labels]
		if !ok {
			e.hidden[labels] = true
			others.add(&c)
			continue
		}
		c.subtract(&kept)
		others.add(&kept)
		sets = append(sets, exposedSet{labels.values(), c})
	}
	if others.Samples > 0 {
		// Sums beyond 2^53 µs are rounded, by the order of their parts.
		e.latency = max(e.latency, others.latency)
		others.latency = e.latency
		sets = append(sets, exposedSet{otherLabels, others})
	}
	return sets, len(e.hidden) > 0
}

// choose brings shown up to date.
func (e *exposed) choose(rows []store.CounterRow) {
	before := e.shown
	e.shown = make(map[labelSet]callCounts, min(len(rows), e.limit))
	var living, faded, dead []*store.CounterRow // the living that are not shown, the dead that are, other dead ones
	for i := range rows {
		r := &rows[i]
		kept, ok := before[labelsOf(r)]
		if kept.Samples > r.Samples { // what it counted before was added up elsewhere
			kept = callCounts{}
			before[labelsOf(r)] = kept
		}
		switch {
		case r.Profile == other:
		case ok && r.Living:
			e.shown[labelsOf(r)] = kept
		case ok:
			faded = append(faded, r)
		case r.Living:
			living = append(living, r)
		case !e.hidden[labelsOf(r)]:
			dead = append(dead, r)
		}
	}
	busiest := func(a, b *store.CounterRow) int { return cmp.Compare(b.Calls, a.Calls) }
	slices.SortStableFunc(living, busiest)
	for _, r := range slices.Concat(living, faded, dead) {
		if len(e.shown) >= e.limit {
			return
		}
		labels := labelsOf(r)
		kept, ok := before[labels]
		if !ok && e.hidden[labels] {
			kept = countsOf(r)
		}
		e.shown[labels] = kept
	}
}
