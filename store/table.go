package store

import (
	"slices"
	"strings"

	"remuda/store/cell"
)

// A Table is the result of one query. It remembers which series belong to which
// row, so that a refresh costs what has changed since the one before and not
// what exists: only rows with a changed series are summed again. It belongs to
// one goroutine at a time.
type Table struct {
	store  *Store
	query  Query
	cursor uint64 // revision up to which changes are in
	meta   Meta

	members [numShards]map[*series][]*group
	groups  map[string]*group
	scopes  map[string]uint64 // calls by scope, what traffic shares are shares of
	reports map[providerKey]*providerReports
	noted   uint64              // reports are as of this revision
	chains  map[string]struct{} // that reports are of

	previousEnd    int64 // step, see previousSpan
	previousKnown  bool
	previousScopes map[string]uint64
	byKey          []*Row // all rows, by key; nil when it has to be made

	enrolled int  // series in members
	stopped  bool // Grow said no

	dirty []*group  // to be summed
	fresh []*series // of a shard, see collect
	key   []byte    // of a group, in the making
	part  cell.Cell
}

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

// NewTable returns a table that has not been refreshed yet.
func (s *Store) NewTable(q Query) *Table {
	return &Table{
		store: s, query: q, groups: make(map[string]*group), scopes: make(map[string]uint64),
		previousScopes: make(map[string]uint64),
	}
}

// Meta is the metadata of the last refresh.
func (t *Table) Meta() Meta { return t.meta }

// Size is about how many bytes the table takes, its rows included.
func (t *Table) Size() int64 {
	return int64(t.enrolled)*memberSize + int64(len(t.groups))*groupSize
}

// least is a size that the table will not be below once it is up to date, as far as that can
// be told before: 0 when its filter leaves open how many series there are.
func (t *Table) least() int64 {
	for d, values := range t.query.Filter {
		if len(values) > 0 && Dim(d) != ProfileDim {
			return 0
		}
	}
	names := t.query.Filter[ProfileDim]
	if len(names) == 0 {
		return t.store.seriesCount.Load() * memberSize
	}
	t.store.profilesMu.RLock()
	defer t.store.profilesMu.RUnlock()
	size := int64(0)
	for _, name := range names {
		if p := t.store.profiles[name]; p != nil {
			size += p.series.Load() * memberSize
		}
	}
	return size
}

// What a series of a table takes, and a group with its row, bytes, as TestTableSize measures

const (
	memberSize = 90
	groupSize  = 1300
)

// Stopped reports whether Query.Grow has refused the table: it must not be used any more.
func (t *Table) Stopped() bool { return t.stopped }

// Rows returns all rows as of the last refresh, by key. The rows are immutable;
// the slice is valid until the next refresh.
func (t *Table) Rows() []*Row {
	if t.byKey == nil {
		t.byKey = make([]*Row, 0, len(t.groups))
		for _, g := range t.groups {
			if g.row != nil {
				t.byKey = append(t.byKey, g.row)
			}
		}
		t.byKey = t.sorted(t.byKey)
	}
	return t.byKey
}

// sorted sorts rows by key, in pieces: there may be as many as there are series.
func (t *Table) sorted(rows []*Row) []*Row {
	const piece = 4096
	for some := range slices.Chunk(rows, piece) {
		t.pause()
		slices.SortFunc(some, func(a, b *Row) int { return strings.Compare(a.Key, b.Key) })
	}
	merged := make([]*Row, 0, len(rows))
	for width := piece; width < len(rows); width *= 2 {
		merged = merged[:0]
		for pair := range slices.Chunk(rows, 2*width) {
			t.pause()
			a, b := pair[:min(width, len(pair))], pair[min(width, len(pair)):]
			for len(a) > 0 && len(b) > 0 {
				if a[0].Key <= b[0].Key {
					merged, a = append(merged, a[0]), a[1:]
				} else {
					merged, b = append(merged, b[0]), b[1:]
				}
			}
			merged = append(append(merged, a...), b...)
		}
		rows, merged = merged, rows
	}
	return rows
}

// Refresh brings the table up to date. It returns the rows that differ from the
// last refresh, all of them the first time, and the keys of those that are gone.
// Rows are immutable; the slices are the caller's.
func (t *Table) Refresh() (changed []*Row, removed []string) {
	s := t.store
	now := s.clock.now()
	revision := s.Revision()
	t.meta = s.meta(t.query.Filter[ProfileDim], t.query.Window, revision, now)
	s.lastRead[t.query.Window].Store(now / 1000)
	if moves := t.previousMoves(now / 1000); revision == t.cursor && !moves {
		return nil, nil
	}
	least := t.least()
	for i := range s.shards {
		if t.query.Grow != nil && !t.query.Grow(max(t.Size(), least)) {
			t.stopped = true
			return nil, nil
		}
		t.pause()
		t.collect(i, revision)
	}
	if t.query.Grow != nil && !t.query.Grow(t.Size()) {
		t.stopped = true
		return nil, nil
	}
	t.pause()
	freshReports := t.noteReports()

	for key, g := range t.groups {
		if !g.dirty {
			continue
		}
		g.settle()
		if len(g.members) == 0 && (!g.counted || !t.reported(g)) {
			delete(t.groups, key)
			if g.row != nil {
				removed = append(removed, g.key)
			}
			continue
		}
		t.dirty = append(t.dirty, g)
	}
	t.total(t.dirty)
	clear(t.dirty)
	t.dirty = t.dirty[:0]
	t.sumScopes()
	made := 0
	for _, g := range t.groups {
		if g.counted && (g.dirty || freshReports || t.moved(g)) {
			if made++; made%groupsAtOnce == 0 {
				t.pause()
			}
			if row := t.makeRow(g); g.row == nil || !sameRow(g.row, row) {
				g.row = row
				changed = append(changed, row)
			}
		}
		g.dirty = false
	}
	if len(changed)+len(removed) > 0 {
		t.byKey = nil
	}
	t.cursor = revision
	return changed, removed
}

func (t *Table) pause() {
	if t.query.Pause != nil {
		t.query.Pause()
	}
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

// noteReports brings latest values up to date and makes rows for keys that have
// nothing else. It reports whether any report changed.
func (t *Table) noteReports() bool {
	if !t.wantsReports() {
		return false
	}
	f := t.query.Filter
	revision := t.store.reportsRevision(&f)
	if t.reports != nil && revision == t.noted {
		return false
	}
	t.noted = revision
	before := t.reports
	t.reports = t.store.reportsBy(&f)
	t.chains = make(map[string]struct{})
	for k := range t.reports {
		t.chains[k.chain] = struct{}{}
		t.reportGroup(k, true)
	}
	for k := range before {
		if t.reports[k] == nil {
			if g := t.reportGroup(k, false); g != nil {
				g.dirty = true // perhaps nothing is left of it
			}
		}
	}
	return true
}

// wantsReports holds for tables whose rows a latest value keeps alive: those
// grouped by chain, with or without provider.
func (t *Table) wantsReports() bool {
	q := &t.query
	for _, d := range q.By {
		if d != ChainDim && d != ProviderDim {
			return false
		}
	}
	return len(q.By) > 0 && q.By[0] == ChainDim && len(q.Filter[MethodDim]) == 0 && len(q.Filter[StrategyDim]) == 0 || q.Providers
}

// reportGroup returns the group that the reports of a provider belong to.
func (t *Table) reportGroup(k providerKey, create bool) *group {
	var dims [NumDims]string
	key := k.chain
	dims[ChainDim] = k.chain
	if slices.Contains(t.query.By, ProviderDim) {
		dims[ProviderDim] = k.provider
		key += "/" + k.provider
	}
	if !create || len(t.query.Filter[MethodDim])+len(t.query.Filter[StrategyDim]) > 0 {
		return t.groups[key]
	}
	return t.rowGroup(dims, k.chain)
}

// reported reports whether a latest value keeps a group alive.
func (t *Table) reported(g *group) bool {
	if t.reports == nil || len(t.query.Filter[MethodDim])+len(t.query.Filter[StrategyDim]) > 0 {
		return false
	}
	if slices.Contains(t.query.By, ProviderDim) {
		return t.reports[providerKey{g.dims[ChainDim], g.dims[ProviderDim]}] != nil
	}
	_, reported := t.chains[g.dims[ChainDim]]
	return reported
}

// totalParts sums what else is asked of a group.
func (t *Table) totalParts(g *group) {
	t.totalPrevious(g)
	t.totalBefore(g)
	if t.query.ExpandRegions {
		g.regions = t.split(g, RegionDim)
	}
	if t.query.ExpandMethods && g.counted {
		g.methods = t.split(g, MethodDim)
		slices.SortStableFunc(g.methods, func(a, b Row) int {
			switch {
			case a.Calls > b.Calls:
				return -1
			case a.Calls < b.Calls:
				return 1
			}
			return 0
		})
		g.methods = slices.DeleteFunc(g.methods, func(r Row) bool { return r.Calls == 0 })
		g.methods = g.methods[:min(len(g.methods), maxMethods)]
	}
}

// totalBefore sums the last minutes in which a provider had calls, when it has none in
// the window.
func (t *Table) totalBefore(g *group) {
	g.before = nil
	if !t.query.Providers || g.figures.Calls > 0 || g.figures.LastSeenAt == 0 {
		return
	}
	node := g.dims[NodeDim]
	for _, m := range g.members {
		sh := &t.store.shards[shardOf(m.hash)]
		sh.mu.Lock()
		for _, r := range m.rows {
			if node != "" && node != r.origin.name || !matches(t.query.Filter[NodeDim], r.origin.name) {
				continue
			}
			seen := g.figures.LastSeenAt/1000 + r.origin.skew.Load()
			r.eachCell(cell.Tier60s, cell.Tier60s.StepAt(seen)-1, func(_ cell.Tier, e cell.Entry) {
				scratch := r.origin.scratch()
				r.unpackInto(scratch, e.Packed)
				t.part.Merge(scratch)
				r.origin.release(scratch)
			}, func(l *liveCell) { t.part.Merge(l.Flush()) })
		}
		sh.mu.Unlock()
	}
	g.before = new(Figures)
	t.store.figures(g.before, &t.part)
	g.before.LastSeenAt = t.store.clock.shown(g.figures.LastSeenAt)
	t.part.Reset()
}

// maxMethods is how many methods of a provider are listed.
const maxMethods = 10

// addMembers adds what series of a group counted in the window to a sum.
func (t *Table) addMembers(sum *cell.Cell, g *group, members []*series) (lastSeen int64) {
	node := g.dims[NodeDim]
	for _, m := range members {
		sh := &t.store.shards[shardOf(m.hash)]
		sh.mu.Lock()
		for _, r := range m.rows {
			if node != "" && node != r.origin.name || !matches(t.query.Filter[NodeDim], r.origin.name) {
				continue
			}
			r.addTo(sum, t.query.Window)
			lastSeen = max(lastSeen, r.origin.local(r.lastSeen))
		}
		sh.mu.Unlock()
	}
	return lastSeen
}

// split sums the members of a group by one more dimension.
func (t *Table) split(g *group, d Dim) []Row {
	by := make(map[string][]*series)
	for _, m := range g.members {
		by[m.dim(d)] = append(by[m.dim(d)], m.series)
	}
	rows := make([]Row, 0, len(by))
	for value, members := range by {
		row := Row{Key: value}
		row.Dims[d] = value
		lastSeen := t.addMembers(&t.part, g, members)
		t.store.figures(&row.Figures, &t.part)
		row.LastSeenAt = t.store.clock.shown(lastSeen)
		t.part.Reset()
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Key, b.Key) })
	return rows
}

// sumScopes adds up the calls that traffic shares are shares of: by chain, or
// all of them, and the same again by region for the parts of rows.
func (t *Table) sumScopes() {
	clear(t.scopes)
	clear(t.previousScopes)
	for _, g := range t.groups {
		t.scopes[g.scope] += g.figures.Calls
		t.previousScopes[g.scope] += g.previous.Calls
		for i := range g.regions {
			t.scopes[g.scope+"/"+g.regions[i].Key] += g.regions[i].Calls
		}
	}
}

// moved reports whether the scope of a row has changed since it was made.
func (t *Table) moved(g *group) bool {
	if g.row == nil || g.row.ScopeCalls != t.scopes[g.scope] || t.previousMoved(g) {
		return true
	}
	for i := range g.row.Regions {
		if r := &g.row.Regions[i]; r.ScopeCalls != t.scopes[g.scope+"/"+r.Key] {
			return true
		}
	}
	return false
}

// makeRow makes the row of a group from its sums, the scopes and the reports.
func (t *Table) makeRow(g *group) *Row {
	row := &Row{Key: g.key, Dims: g.dims, Figures: g.figures}
	row.LastSeenAt = t.store.clock.shown(g.figures.LastSeenAt)
	row.ScopeCalls = t.scopes[g.scope]
	row.Previous = t.previousOf(g)
	if t.query.ExpandRegions {
		row.Regions = slices.Clone(g.regions)
		for i := range row.Regions {
			row.Regions[i].ScopeCalls = t.scopes[g.scope+"/"+row.Regions[i].Key]
		}
	}
	if t.query.ExpandMethods {
		row.Methods = slices.Clone(g.methods)
		for i := range row.Methods {
			row.Methods[i].ScopeCalls = g.figures.Calls
		}
	}
	if t.query.Providers {
		row.Provider = providerState(t.reports[providerKey{g.dims[ChainDim], g.dims[ProviderDim]}], g.active, &row.Figures, g.before)
	}
	return row
}

// providerState joins what was reported about a provider with what was counted.
func providerState(r *providerReports, active []string, f, before *Figures) *ProviderState {
	state := new(ProviderState)
	if r == nil {
		r = new(providerReports)
	}
	state.Circuit = r.circuit
	state.CircuitsOpen, state.CircuitsKnown = r.circuitsOpen, r.circuitsKnown
	state.HasHeight, state.Height = r.hasHeight, r.height
	state.HasLag, state.LagBlocks, state.BlocksAhead = r.hasLag, r.lag, r.ahead
	state.HasHealth, state.Health, state.Failures = r.hasHealth, r.health, r.failures
	state.RegionsReporting = len(r.regions)
	for _, region := range active {
		if _, found := slices.BinarySearch(r.regions, region); !found {
			state.RegionsReporting++
		}
	}
	if state.Status, state.StatusReasons = statusOf(f, state); state.Status >= StatusHealthy {
		state.silent(r.silences, f, before)
	}
	return state
}
