package store

import "remuda/store/cell"

// A row is one series as counted by one origin. All of it is guarded by the
// mutex of the shard that holds it.
//
// A step of a tier is in one of two places: open, as a cell in live that is
// being written, or packed, in the log of its tier. An open step that was packed
// by a tick stays live until it closes; then only the packed cell is left. A late
// event opens a packed cell again.
//
// What goes to other nodes mostly leaves out the lifetime, and uneven says when it cannot.
// An example: tick 7 packs a cell of second 100 with 3 calls, tick 8 the same cell with 5.
// Whoever has all up to 7 sees that cell grow by 2, and so the lifetime, from 3 to 5. At
// tick 9 a call comes that is 90 s old. No cell of 1 s is kept for it, it is counted in one
// of 10 s, and the lifetime of 6 cannot be told from cells of 1 s: uneven is 9. The lifetime
// goes to who has all up to 8 or less, and not to who has all up to 9. When the cell of
// second 100 is dropped later, with its stamp of 8, who has all up to 7 can no longer be told
// by what it grew. Were uneven still 0, it would be 8 from then on.
type row struct {
	// What nearly every call needs comes first, on one cache line.
	key      string    // of the series
	cur      *liveCell // the step of the call before, unless a sum was made of it
	touched  uint64    // revision of the series when a call of this row last moved it
	lastSeen int64     // newest ts, ms
	dirty    bool      // listed in origin.dirty

	series *series
	origin *originPart
	slot   uint32 // index in origin.rows
	stamp  uint32 // newest stamp of its packed cells
	born   uint32 // stamp of its first
	// uneven is the newest stamp of which the cells here no longer tell all: at which the
	// lifetime did not grow by just what those of the finest tier grew, or that a finer
	// cell had which was dropped since. See above.
	uneven uint32
	due    int64 // second at which something of it leaves a window or a tier; 0 = never

	live   []*liveCell
	logs   [cell.NumTiers]cell.Log
	totals [cell.NumWindows]*windowTotal // made when a reader asks, dropped when none does; nil also when there is no room
	queued [cell.NumTiers]int64          // newest coarser step the row was queued to sum, see sumQueue

	lifetime cell.Sums // everything ever counted in this row, as of the last tick
	owed     cell.Sums // by cells that were dropped before a tick had packed them: the next that is packed adds it
	digest   uint64    // this row's share of the origin's digest
}

func (r *row) has(tier cell.Tier, step int64) bool {
	return r.open(tier, step) != nil || r.logs[tier].Has(uint32(step))
}

// open returns the open cell of a step, nil when it is not open.
func (r *row) open(tier cell.Tier, step int64) *liveCell {
	for _, l := range r.live {
		if l.step == step && l.tier == tier {
			return l
		}
	}
	return nil
}

// openCell returns the cell of a step for writing.
func (r *row) openCell(tier cell.Tier, step int64) *liveCell {
	if l := r.open(tier, step); l != nil {
		return l
	}
	if e, ok := r.logs[tier].Find(uint32(step)); ok {
		l := r.origin.newLive(tier, step)
		if err := l.Unpack(e.Packed, r.origin.shard.store.categories); err != nil {
			panic("store: " + err.Error()) // only cells that passed unpack or were packed here rest in a log
		}
		l.Adopt()
		r.addToTotals(tier, tier, step, &l.Cell, false)
		r.live = append(r.live, l)
		return l
	}
	l := r.origin.newLive(tier, step)
	if tier > cell.Tier1s {
		r.sumFiner(l)
		l.Adopt()
		l.summed = true
	}
	r.live = append(r.live, l)
	return l
}

// sumFiner fills a new coarser cell with the finer cells of its step. They stop
// counting in the windows that slide by the coarser tier; the new cell begins to.
func (r *row) sumFiner(l *liveCell) {
	tier := l.tier
	finer := tier - 1
	from := l.step * tier.Ratio()
	to := from + tier.Ratio()
	if finer > cell.Tier1s { // sum what has not been summed there either
		for step := from; step < to; step++ {
			if !r.has(finer, step) && r.hasAny(finer-1, step*finer.Ratio(), (step+1)*finer.Ratio()) {
				r.openCell(finer, step)
			}
		}
	}
	scratch := r.origin.scratch()
	defer r.origin.release(scratch)
	log := &r.logs[finer]
	for o := log.Seek(uint32(from)); log.Holds(o); {
		e := log.At(o)
		if int64(e.Step) >= to {
			break
		}
		o = e.Next
		if r.open(finer, int64(e.Step)) != nil {
			continue
		}
		r.unpackInto(scratch, e.Packed)
		r.addToTotals(tier, finer, int64(e.Step), scratch, false)
		l.Merge(scratch)
	}
	for _, f := range r.live {
		if f.tier == finer && f.step >= from && f.step < to {
			l.Merge(f.Flush())
			if r.cur == f {
				r.cur = nil // from now on a call there changes two cells
			}
		}
	}
	l.dirty = !l.Empty()
}

// hasAny reports whether a tier has a cell in [from, to).
func (r *row) hasAny(tier cell.Tier, from, to int64) bool {
	for _, l := range r.live {
		if l.tier == tier && l.step >= from && l.step < to {
			return true
		}
	}
	log := &r.logs[tier]
	o := log.Seek(uint32(from))
	return log.Holds(o) && int64(log.At(o).Step) < to
}

func (r *row) unpackInto(c *cell.Cell, packed []byte) {
	c.Reset()
	if err := c.Unpack(packed, r.origin.shard.store.categories); err != nil {
		panic("store: " + err.Error()) // see openCell
	}
}

// pack writes an open cell to its log, stamped with the sequence being closed.
func (r *row) pack(l *liveCell, stamp uint32) {
	o := r.origin
	old := (l.step+1)*l.tier.Seconds() <= o.now-evenFor
	if old {
		l.summed = false // what it is the sum of may be gone at others
	}
	o.packBuf = l.Flush().AppendPacked(o.packBuf[:0], o.shard.store.categories)
	r.logs[l.tier].Put(uint32(l.step), stamp, l.summed, o.packBuf)
	r.stamp = max(r.stamp, stamp)
	if r.born == 0 {
		r.born = stamp
	}
	if old || l.tier > cell.Tier1s && !l.summed {
		r.uneven = stamp
	}
	l.dirty = false
	l.News(&r.lifetime)
	l.Adopt()
	if r.owed != (cell.Sums{}) {
		r.lifetime.Merge(&r.owed)
		r.owed, r.uneven = cell.Sums{}, stamp
	}
}

// close takes an open cell that has been packed out of live.
func (r *row) close(l *liveCell) {
	for i, other := range r.live {
		if other == l {
			r.live = append(r.live[:i], r.live[i+1:]...)
			break
		}
	}
	if r.cur == l {
		r.cur = nil
	}
	r.addToTotals(l.tier, l.tier, l.step, l.Flush(), true)
	r.origin.releaseLive(l)
}

// evenFor is how many seconds a step may be over for others to work out what it
// adds to sums and lifetimes: finer cells of older ones may be gone there.
const evenFor = 60
