package store

import "slices"

// Which series count in which row: a series is enrolled in its groups when it comes, and
// leaves them when it goes. A refresh costs no more than that for all that has not changed.

// group is a row in the making.
type group struct {
	key     string
	dims    [NumDims]string
	scope   string
	members []member
	leaving map[*series]struct{} // members that the next settle takes out
	places  []string             // regions of its members, once each
	placeOf map[string]int32     // index in places; nil while they are few
	counted bool                 // false: not a row, only part of a scope
	dirty   bool
	row     *Row

	// What the last sum gave; the row is made of it and of the scopes.
	figures  Figures
	previous Figures  // before the window, when that is asked for and known
	before   *Figures // of a provider without calls in the window: the last minutes in which it had some
	regions  []Row
	methods  []Row
	active   []string // regions with calls in the window, sorted
}

// member is a series of a group with the number of its region among the group's: its
// key, which names it, is memory of its own.
type member struct {
	*series
	place int32
}

// collect marks the groups whose series have changed in a shard. The shard is locked for
// as long as it takes to list them; what they are members of is found after that.
func (t *Table) collect(i int, revision uint64) {
	sh := &t.store.shards[i]
	if t.members[i] == nil {
		t.members[i] = make(map[*series][]*group)
	}
	known := t.members[i]
	before := len(known)
	t.fresh = t.fresh[:0]
	sh.mu.Lock()
	structure := sh.structure > t.cursor
	if structure {
		for s, groups := range known {
			if s.gone {
				delete(known, s)
				for _, g := range groups {
					g.remove(s)
				}
			}
		}
	}
	// New series are at the end of the list: they came after the cursor.
	for s := sh.newest; s != nil && s.revision > t.cursor; s = s.prev {
		if t.fresh = append(t.fresh, s); t.byNode() {
			t.enrollNodes(known, s)
		}
	}
	sh.read = max(sh.read, revision)
	sh.mu.Unlock()
	for _, s := range t.fresh {
		if structure && known[s] == nil && !t.byNode() {
			if g := t.groupOf(s, ""); g != nil {
				known[s] = []*group{g}
				g.add(s)
			}
		}
		for _, g := range known[s] {
			g.dirty = true
		}
	}
	clear(t.fresh) // series that are gone are not kept
	t.enrolled += len(known) - before
}

// byNode reports whether it matters for the table which nodes counted a series.
func (t *Table) byNode() bool {
	return len(t.query.Filter[NodeDim]) > 0 || slices.Contains(t.query.By, NodeDim)
}

// enrollNodes puts a series into the groups of the nodes that have rows of it now.
func (t *Table) enrollNodes(known map[*series][]*group, s *series) {
	var now []*group
	for _, r := range s.rows {
		if !matches(t.query.Filter[NodeDim], r.origin.name) {
			continue
		}
		if g := t.groupOf(s, r.origin.name); g != nil && !slices.Contains(now, g) {
			now = append(now, g)
		}
	}
	before := known[s]
	for _, g := range before {
		if !slices.Contains(now, g) {
			g.remove(s)
		}
	}
	for _, g := range now {
		if !slices.Contains(before, g) {
			g.add(s)
		}
	}
	if len(now) == 0 {
		delete(known, s)
	} else {
		known[s] = now
	}
}

func (g *group) add(s *series) {
	g.members = append(g.members, member{s, g.place(s.dim(RegionDim))})
	g.dirty = true
}

// remove takes a series out of the group by the next settle: very many may leave at
// once, and the list of members is as long.
func (g *group) remove(s *series) {
	if g.leaving == nil {
		g.leaving = make(map[*series]struct{})
	}
	g.leaving[s] = struct{}{}
	g.dirty = true
}

// settle takes out the members that leave, all in one pass, and forgets the regions
// of those that left once they are more than those of all that stayed.
func (g *group) settle() {
	if len(g.leaving) == 0 {
		return
	}
	g.members = slices.DeleteFunc(g.members, func(m member) bool {
		_, leaves := g.leaving[m.series]
		return leaves
	})
	g.leaving = nil
	if len(g.places) <= 2*len(g.members)+fewPlaces {
		return
	}
	g.places, g.placeOf = nil, nil
	for i := range g.members {
		m := &g.members[i]
		m.place = g.place(m.dim(RegionDim))
	}
}

// fewPlaces is how many regions of a group are looked through one by one. A sender
// may name a region for every event.
const fewPlaces = 16

// place is the number of a region among the group's, a new one if it has none.
func (g *group) place(region string) int32 {
	if g.placeOf == nil {
		if i := slices.Index(g.places, region); i >= 0 {
			return int32(i)
		}
	} else if i, ok := g.placeOf[region]; ok {
		return i
	}
	n := int32(len(g.places))
	g.places = append(g.places, region)
	switch {
	case g.placeOf != nil:
		g.placeOf[region] = n
	case len(g.places) > fewPlaces:
		g.placeOf = make(map[string]int32)
		for i, p := range g.places {
			g.placeOf[p] = int32(i)
		}
	}
	return n
}

// groupOf returns the group that a series counts in as far as a node counted it,
// nil when it counts in none.
func (t *Table) groupOf(s *series, node string) *group {
	f := &t.query.Filter
	counted := true
	for d := range NodeDim {
		if len(f[d]) > 0 && !slices.Contains(f[d], s.dim(d)) {
			if d != ProviderDim {
				return nil
			}
			counted = false // still part of what traffic is a share of
		}
	}
	scope := ""
	if slices.Contains(t.query.By, ChainDim) {
		scope = s.dim(ChainDim)
	}
	if !counted {
		return t.group("\x00"+scope, scope, false)
	}
	var dims [NumDims]string
	for _, d := range t.query.By {
		dims[d] = s.dim(d)
		if d == NodeDim {
			dims[d] = node
		}
	}
	return t.rowGroup(dims, scope)
}

func (t *Table) rowGroup(dims [NumDims]string, scope string) *group {
	t.key = t.key[:0]
	for i, d := range t.query.By {
		if i > 0 {
			t.key = append(t.key, '/')
		}
		t.key = append(t.key, dims[d]...)
	}
	if g := t.groups[string(t.key)]; g != nil { // most series are of a group that is there
		return g
	}
	g := t.group(string(t.key), scope, true)
	g.dims = dims
	return g
}

func (t *Table) group(key, scope string, counted bool) *group {
	g := t.groups[key]
	if g == nil {
		g = &group{key: key, scope: scope, counted: counted, dirty: true}
		t.groups[key] = g
	}
	return g
}
