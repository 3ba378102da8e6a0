package store

import (
	"sync"
	"sync/atomic"

	"remuda/store/cell"
)

// An origin is one run of a node: the only writer of its rows.
type origin struct {
	name        string
	incarnation uint64
	began       int64 // when the run did, ms of its own clock

	// skew is by how many seconds its clock is ahead of this node's, as far as that is
	// more than a trifle, see Store.SetClock.
	skew atomic.Int64
	// digest is the wrapping sum of the shares of all it ever reported.
	digest atomic.Uint64
	// silent says that nothing has been heard of the node for so long that its latest
	// values are not known any more.
	silent   atomic.Bool
	rowCount atomic.Int64
	// met says that it was there while this process was; newest is the end of its newest
	// cell, ms of its own clock.
	met    atomic.Bool
	newest atomic.Int64

	// What this node has dropped of another's origin may come again, when that one
	// has not dropped it yet. Its share in the digest is then counted already: shares
	// are kept for a while by the hash of what they are of.
	mu      sync.Mutex
	dropped map[uint64]droppedShare
	pruneAt int // how many dropped shares there are when old ones are next looked for

	early map[*profile]*earlyTime // see vouch
}

type droppedShare struct {
	share uint64
	at    int64 // second
}

// rememberDropped is for how many seconds dropped shares are kept. It need only
// be longer than clocks and messages can differ.
const rememberDropped = 900

// Local converts an instant (ms) of the origin's clock to this node's.
func (o *origin) Local(at int64) int64 { return at - o.skew.Load()*1000 }

// drop keeps the share of something that this node forgets.
func (o *origin) drop(id, share uint64, second int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped == nil {
		o.dropped = make(map[uint64]droppedShare)
	}
	o.dropped[id] = droppedShare{share, second}
	if len(o.dropped) > o.pruneAt {
		for id, d := range o.dropped {
			if second-d.at > rememberDropped {
				delete(o.dropped, id)
			}
		}
		o.pruneAt = 2*len(o.dropped) + 1024 // a look at all is paid for by as many drops
	}
}

// again returns the share that something dropped still has in the digest.
func (o *origin) again(id uint64) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.dropped[id]
	delete(o.dropped, id)
	return d.share
}

// wheelSlots is how far ahead a row's next change is kept to the second; rows
// that are due later are looked at again when their slot comes round.
const wheelSlots = 128

// maxSpare and spareBuckets bound the cells that are kept for reuse, in number and
// in size: wide ones are few and made again when needed.
const (
	maxSpare     = 64
	spareBuckets = 96
)

// An originPart is what one origin counted in one shard. It is guarded by the
// shard's mutex.
type originPart struct {
	*origin
	shard *shard

	now     int64 // the second, by the origin's clock, up to which every row is settled
	latest  int64 // the latest that now has been: what was dropped then stays so
	back    int64 // the latest second that it went back to
	rows    []*row
	free    []uint32 // empty slots of rows
	wheel   [wheelSlots][]uint32
	sums    [cell.NumTiers]sumQueue // by the coarser tier
	passing windowTotal             // the total of a reader for which there was no room
	dirty   []uint32                // rows with open cells

	due     []uint32 // reused by advance
	packBuf []byte   // reused by pack
	spare   []*liveCell
	empty   []*cell.Cell
}

func (o *originPart) newLive(tier cell.Tier, step int64) *liveCell {
	var l *liveCell
	if n := len(o.spare); n > 0 {
		l = o.spare[n-1]
		o.spare = o.spare[:n-1]
	} else {
		l = new(liveCell)
	}
	l.tier, l.step, l.dirty, l.summed = tier, step, false, false
	return l
}

func (o *originPart) releaseLive(l *liveCell) {
	if len(o.spare) < maxSpare && l.Room() <= spareBuckets {
		l.Clear()
		o.spare = append(o.spare, l)
	}
}

// scratch lends an empty cell until release.
func (o *originPart) scratch() *cell.Cell {
	n := len(o.empty)
	if n == 0 {
		return new(cell.Cell)
	}
	c := o.empty[n-1]
	o.empty = o.empty[:n-1]
	return c
}

func (o *originPart) release(c *cell.Cell) {
	c.Reset() // there are no more of these than calls that borrow one inside another
	o.empty = append(o.empty, c)
}

// unread reports whether nobody has asked for a window for so long that its
// totals are not worth their memory.
func (o *originPart) unread(w cell.Window, second int64) bool {
	return second-o.shard.store.lastRead[w].Load() > keepTotals
}

// addRow makes a row for a series of the shard.
func (o *originPart) addRow(s *series) *row {
	r := &row{key: s.key, series: s, origin: o}
	if n := len(o.free); n > 0 {
		r.slot = o.free[n-1]
		o.free = o.free[:n-1]
		o.rows[r.slot] = r
	} else {
		r.slot = uint32(len(o.rows))
		o.rows = append(o.rows, r)
	}
	s.rows = append(s.rows, r)
	o.rowCount.Add(1)
	return r
}

// removeRow forgets a row that has no cell left. Its share of the digest stays:
// nodes forget at different instants and must not seem to differ for it.
func (o *originPart) removeRow(r *row) {
	o.rowCount.Add(-1)
	r.dropTotals()
	if o != o.shard.local() {
		o.drop(mix(r.series.mark, uint64(r.born)), r.digest, o.now)
	}
	o.rows[r.slot] = nil
	o.free = append(o.free, r.slot)
	o.shard.removeRow(r)
}

// schedule makes sure that the row is settled at due or before.
func (o *originPart) schedule(r *row, due int64) {
	due = min(max(due, o.now+1), o.now+wheelSlots-1)
	if r.due > o.now && r.due <= due {
		return
	}
	r.due = due
	slot := &o.wheel[due%wheelSlots]
	*slot = append(*slot, r.slot)
}

// maxRewind is by how many seconds a clock may go back without notice.
const maxRewind = 3

// rewind goes back to a second, since the origin's clock turned out to be slower
// than it seemed.
func (o *originPart) rewind(second int64) {
	o.now, o.back = second, max(o.back, second)
	for i := range o.wheel {
		o.wheel[i] = o.wheel[i][:0]
	}
	for _, r := range o.rows {
		if r != nil {
			r.due = 0
			r.dropTotals()
			o.schedule(r, second+1)
			o.shard.touch(r.series)
		}
	}
}

// mayHaveDropped reports whether a cell of a step, which is not here, may have been,
// and was dropped as too old. When the clock seemed fast, none of a step after that
// which was running when it turned out to be slow can have been here; events come from
// up to MaxAhead later.
//
// Say that the clock of an origin seemed to be at second 1,000, and cells of 1 s before 921
// were dropped, of which 80 are kept. Then it turns out to be at 900 only. A cell of second
// 850 comes, and would be kept now: it may have been here before, since at 900 there were
// cells up to second 905, and it was dropped. One of second 910 cannot have been.
func (o *originPart) mayHaveDropped(tier cell.Tier, step int64) bool {
	return step < tier.KeptFrom(o.now) ||
		step < tier.KeptFrom(o.latest) && step <= tier.StepAt(o.back+MaxAhead/1000)
}

// advance settles what is due up to a second. It reports whether any row changed.
func (o *originPart) advance(second int64) (changed bool) {
	if second < o.now-maxRewind {
		o.rewind(second)
		return true
	}
	if second <= o.now {
		return false
	}
	from := o.now
	due := o.due[:0]
	for at := max(from+1, second-wheelSlots+1); at <= second; at++ {
		slot := &o.wheel[at%wheelSlots]
		due = append(due, *slot...)
		*slot = (*slot)[:0]
	}
	settled := due[:0]
	for _, slot := range due {
		r := o.rows[slot]
		if r == nil || r.due > second || r.due == 0 {
			continue // rescheduled, or gone
		}
		r.due = 0
		if r.settle(from, second) {
			changed = true
			o.shard.touch(r.series)
		}
		settled = append(settled, slot)
	}
	o.now, o.latest = second, max(o.latest, second)
	for _, slot := range settled {
		r := o.rows[slot]
		if due := r.nextDue(); due > 0 {
			o.schedule(r, due)
			continue
		}
		o.removeRow(r)
		changed = true
	}
	o.due = due[:0]
	return changed
}
