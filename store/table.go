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

// What a series of a table takes, and a group with its row, bytes, as TestTableSize measures.
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
