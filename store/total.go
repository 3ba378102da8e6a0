package store

import (
	"slices"
	"sync"

	"remuda/store/cell"
)

// Fast path of summing groups; its slow twin is addMembers. What a row counted lies in
// half a dozen places of memory that lead to each other, and with many series none of
// them is in a cache: row after row, a sum waits for memory most of its time. So many
// groups are summed at once, shard by shard, and of some rows at a time each of those
// places is asked for before any is used: loads that do not depend on each other
// overlap.
const (
	groupsAtOnce = 128 // some 3 KB each: they are to stay in the cache
	rowsAtOnce   = 16  // also how long a shard is locked: some microseconds
)

// summing is the memory of it, which tables take in turns.
type summing struct {
	sums  [groupsAtOnce]groupSum
	tasks [numShards][]sumTask
	rows  []rowTask
	asked uint64 // of what was asked for; so that it is used
}

var summings = sync.Pool{New: func() any { return new(summing) }}

type groupSum struct {
	cell.Cell
	lastSeen int64
	active   []bool // by place
}

// sumTask is a series to add to the group at a place of the sums.
type sumTask struct {
	member
	group int32
}

type rowTask struct {
	row          *row
	group, place int32
}

// total sums groups.
func (t *Table) total(dirty []*group) {
	if len(dirty) == 0 {
		return
	}
	s := summings.Get().(*summing)
	defer summings.Put(s)
	for some := range slices.Chunk(dirty, groupsAtOnce) {
		t.sumMembers(s, some)
		for i, g := range some {
			t.pause()
			sum := &s.sums[i]
			t.store.figures(&g.figures, &sum.Cell)
			g.figures.LastSeenAt = sum.lastSeen
			sum.Reset()
			sum.lastSeen = 0
			t.totalParts(g)
		}
	}
}

// sumMembers adds what the members of groups counted in the window to their sums,
// and notes the regions that had calls.
func (t *Table) sumMembers(s *summing, groups []*group) {
	for i, g := range groups {
		s.sums[i].active = slices.Grow(s.sums[i].active[:0], len(g.places))[:len(g.places)]
		clear(s.sums[i].active)
		for _, m := range g.members {
			tasks := &s.tasks[shardOf(m.hash)]
			*tasks = append(*tasks, sumTask{m, int32(i)})
		}
	}
	for i := range s.tasks {
		sh := &t.store.shards[i]
		for some := range slices.Chunk(s.tasks[i], rowsAtOnce) {
			sh.mu.Lock()
			t.sumRows(s, groups, some)
			sh.mu.Unlock()
		}
		if len(s.tasks[i]) > 0 {
			t.pause()
		}
		clear(s.tasks[i]) // series that are gone are not kept
		s.tasks[i] = s.tasks[i][:0]
	}
	for i, g := range groups {
		g.active = g.active[:0]
		for place, active := range s.sums[i].active {
			if active {
				g.active = append(g.active, g.places[place])
			}
		}
		slices.Sort(g.active)
	}
}

// sumRows does it for some series of a shard, whose mutex the caller holds.
func (t *Table) sumRows(s *summing, groups []*group, tasks []sumTask) {
	s.rows = s.rows[:0]
	for _, task := range tasks {
		node := groups[task.group].dims[NodeDim]
		for _, r := range task.rows {
			if (node == "" || node == r.origin.name) && matches(t.query.Filter[NodeDim], r.origin.name) {
				s.rows = append(s.rows, rowTask{r, task.group, task.place})
			}
		}
	}
	for some := range slices.Chunk(s.rows, rowsAtOnce) {
		s.asked += ask(some, t.query.Window)
		for _, task := range some {
			sum, r := &s.sums[task.group], task.row
			before := sum.Samples
			r.addTo(&sum.Cell, t.query.Window)
			sum.lastSeen = max(sum.lastSeen, r.origin.Local(r.lastSeen))
			if sum.Samples > before {
				sum.active[task.place] = true
			}
		}
	}
	clear(s.rows)
}

// ask loads what adding up some rows will read, one kind of memory after another,
// and returns something that depends on it.
func ask(rows []rowTask, w cell.Window) (asked uint64) {
	var totals [rowsAtOnce]*windowTotal
	var cells [rowsAtOnce]*liveCell
	for i, task := range rows {
		totals[i], cells[i] = task.row.totals[w], task.row.cur
		asked += uint64(len(task.row.live))
	}
	for i := range rows {
		if c := totals[i]; c != nil {
			asked += c.Peek()
		}
		if l := cells[i]; l != nil {
			asked += l.Peek()
		}
	}
	for i := range rows {
		if c := totals[i]; c != nil {
			asked += c.PeekBuckets()
		}
		if l := cells[i]; l != nil {
			asked += l.PeekBuckets()
		}
	}
	return asked
}
