package store

import (
	"unsafe"

	"remuda/store/cell"
)

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

// windowTotal is the sum of the packed cells of a row inside a window; open ones
// are added by the reader.
type windowTotal struct {
	cell.Cell
	rescan bool  // a least or greatest latency may be of a cell that left
	held   int32 // bytes, as Options.TotalBytes bounds
}

// counted reports whether a cell is part of a window that starts at start. A
// finer cell counts until the sum of its step is there.
func (r *row) counted(w cell.Window, start int64, tier cell.Tier, step int64) bool {
	base := w.Tier()
	if tier > base {
		return false
	}
	for tier < base {
		tier++
		step /= tier.Ratio()
		if r.has(tier, step) {
			return false
		}
	}
	return step >= start
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

// addToTotals adds the content of a packed cell to the totals it counts in, or
// takes it away, for windows that slide by base or coarser.
func (r *row) addToTotals(base, tier cell.Tier, step int64, c *cell.Cell, add bool) {
	for w := range cell.NumWindows {
		t := r.totals[w]
		if t == nil || w.Tier() < base || !r.counted(w, w.Start(r.origin.now), tier, step) {
			continue
		}
		if add {
			t.Merge(c)
			r.hold(t)
		} else {
			t.take(c)
		}
	}
}

// size is how many bytes a total takes.
func (t *windowTotal) size() int32 {
	return int32(int(unsafe.Sizeof(*t)-unsafe.Sizeof(t.Cell)) + t.Cell.Size())
}

// hold says how much a total that is kept takes.
func (r *row) hold(t *windowTotal) {
	if size := t.size(); size != t.held {
		r.origin.shard.store.totalBytes.Add(int64(size - t.held))
		t.held = size
	}
}

func (r *row) dropTotals() {
	for w := range cell.NumWindows {
		r.dropTotal(w)
	}
}

// dropTotal forgets the total of a window.
func (r *row) dropTotal(w cell.Window) {
	if t := r.totals[w]; t != nil {
		r.origin.shard.store.totalBytes.Add(-int64(t.held))
		r.totals[w] = nil
	}
}

func (t *windowTotal) take(c *cell.Cell) {
	if t.Subtract(c) {
		t.rescan = true
	}
	if t.Empty() {
		t.rescan = false
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

// addTo adds what the row counted in a window to a sum. It does not change what
// writers see, only brings the total of the window up to date.
func (r *row) addTo(sum *cell.Cell, w cell.Window) {
	t := r.total(w)
	sum.Merge(&t.Cell)
	r.eachCell(w.Tier(), w.Start(r.origin.now), nil, func(l *liveCell) { sum.Merge(l.Flush()) })
}

// total returns the sum of the packed cells of a window, right in every field.
func (r *row) total(w cell.Window) *windowTotal {
	t := r.totals[w]
	if t == nil {
		t = r.makeTotal(w)
	}
	if t.rescan {
		t.rescan = false
		var all cell.Cell
		r.eachPacked(w, func(_ cell.Tier, e cell.Entry) {
			all.ExtendPacked(e.Packed)
		})
		t.TakeRanges(&all)
	}
	return t
}

// makeTotal sums the packed cells of a window. The total is kept, so that the next reader
// finds it, while there is room for it; else it is valid until the next is made.
func (r *row) makeTotal(w cell.Window) *windowTotal {
	o := r.origin
	t := &o.passing
	t.Reset()
	r.eachPacked(w, func(tier cell.Tier, e cell.Entry) {
		scratch := o.scratch()
		r.unpackInto(scratch, e.Packed)
		t.Merge(scratch)
		o.release(scratch)
	})
	if st := o.shard.store; st.totalBytes.Load()+int64(t.size()) <= st.options.TotalBytes {
		t, o.passing = &windowTotal{Cell: t.Cell}, windowTotal{}
		r.hold(t)
		r.totals[w] = t
	}
	return t
}

// eachPacked calls f for the packed, not open cells that count in a window.
func (r *row) eachPacked(w cell.Window, f func(tier cell.Tier, e cell.Entry)) {
	base := w.Tier()
	r.eachCell(base, w.Start(r.origin.now), f, nil)
}

// eachCell calls packed and open for the cells that make up the steps of a tier
// from start on: the tier's own, and finer ones where no sum is there yet. Either
// may be nil.
func (r *row) eachCell(base cell.Tier, start int64, packed func(tier cell.Tier, e cell.Entry), open func(l *liveCell)) {
	for tier := cell.Tier1s; packed != nil && tier <= base; tier++ {
		log := &r.logs[tier]
		var coarser [cell.NumTiers]int32 // offsets that only move forward, as steps do
		for t := tier + 1; t <= base; t++ {
			coarser[t] = r.logs[t].Begin()
		}
		for o := log.Seek(uint32(start * base.Seconds() / tier.Seconds())); log.Holds(o); {
			e := log.At(o)
			o = e.Next
			if r.open(tier, int64(e.Step)) != nil {
				continue
			}
			summed, step := false, int64(e.Step)
			for t := tier + 1; t <= base && !summed; t++ {
				step /= t.Ratio()
				coarser[t] = r.logs[t].SeekFrom(coarser[t], uint32(step))
				summed = r.logs[t].StepAt(coarser[t]) == step || r.open(t, step) != nil
			}
			if !summed {
				packed(tier, e)
			}
		}
	}
	if open == nil {
		return
	}
	for _, l := range r.live {
		if l.tier > base {
			continue
		}
		summed, step := false, l.step
		for t := l.tier + 1; t <= base; t++ {
			step /= t.Ratio()
			summed = summed || r.has(t, step)
		}
		if !summed && step >= start {
			open(l)
		}
	}
}

// settle moves the row from one second to a later one: cells leave windows and
// tiers. It reports whether a reader of any window can tell the difference.
// origin.now must still be from.
func (r *row) settle(from, to int64) (changed bool) {
	// What is about to be dropped must have been summed. With ticks in time it has.
	for tier := cell.Tier1s; tier < cell.Tier60s; tier++ {
		r.sumDropped(tier, tier.KeptFrom(to))
	}
	for w := range cell.NumWindows {
		base := w.Tier()
		oldStart, newStart := w.Start(from), w.Start(to)
		if oldStart == newStart {
			continue
		}
		t := r.totals[w]
		log := &r.logs[base]
		for o := log.Seek(uint32(oldStart)); log.Holds(o); {
			e := log.At(o)
			if int64(e.Step) >= newStart {
				break
			}
			o = e.Next
			changed = true
			if t != nil && r.open(base, int64(e.Step)) == nil {
				scratch := r.origin.scratch()
				r.unpackInto(scratch, e.Packed)
				t.take(scratch)
				r.origin.release(scratch)
			}
		}
		for _, l := range r.live {
			if l.tier == base && l.step >= oldStart && l.step < newStart {
				changed = true
			}
		}
		if t != nil && r.origin.unread(w, to) {
			r.dropTotal(w)
		}
	}
	for tier := range cell.NumTiers {
		r.drop(tier, tier.KeptFrom(to))
	}
	return changed
}

// sumDropped opens the coarser cells of the steps of a tier below start that have none.
func (r *row) sumDropped(tier cell.Tier, start int64) {
	for {
		step := int64(-1)
		log := &r.logs[tier]
		for o := log.Begin(); log.Holds(o); {
			e := log.At(o)
			if int64(e.Step) >= start {
				break
			}
			o = e.Next
			if coarser := int64(e.Step) / (tier + 1).Ratio(); !r.has(tier+1, coarser) {
				step = coarser
				break
			}
		}
		for _, l := range r.live {
			if coarser := l.step / (tier + 1).Ratio(); l.tier == tier && l.step < start && !r.has(tier+1, coarser) {
				step = coarser
			}
		}
		if step < 0 {
			return
		}
		r.openCell(tier+1, step)
		if r.origin != r.origin.shard.local() {
			r.fold()
			continue
		}
		r.queueSum(tier+1, step)
		r.origin.markDirty(r)
	}
}

// evenFor is how many seconds a step may be over for others to work out what it
// adds to sums and lifetimes: finer cells of older ones may be gone there.
const evenFor = 60

// fold packs the sums that were just opened in another origin's row, since that
// did not make them. Whatever it sends of them later replaces these: their stamp
// is that of the newest cell they were made of.
func (r *row) fold() {
	for tier := cell.Tier10s; tier < cell.NumTiers; tier++ {
		for i := len(r.live) - 1; i >= 0; i-- {
			l := r.live[i]
			if l.tier != tier {
				continue
			}
			stamp := uint32(1)
			log := &r.logs[tier-1]
			for o := log.Seek(uint32(l.step * tier.Ratio())); log.Holds(o); {
				e := log.At(o)
				if int64(e.Step) >= (l.step+1)*tier.Ratio() {
					break
				}
				o = e.Next
				stamp = max(stamp, e.Stamp)
			}
			r.pack(l, stamp)
			r.close(l)
		}
	}
}

// drop forgets the cells of a tier below start.
func (r *row) drop(tier cell.Tier, start int64) {
	log := &r.logs[tier]
	for o, end := log.Begin(), log.Seek(uint32(start)); tier < cell.Tier60s && o < end; {
		e := log.At(o)
		r.uneven = max(r.uneven, e.Stamp) // who does not have it cannot be told to add it up
		o = e.Next
	}
	log.DropBefore(uint32(start))
	for i := 0; i < len(r.live); {
		l := r.live[i]
		if l.tier != tier || l.step >= start {
			i++
			continue
		}
		l.News(&r.owed)
		r.live = append(r.live[:i], r.live[i+1:]...)
		if r.cur == l {
			r.cur = nil
		}
		r.origin.releaseLive(l)
	}
}

// nextDue is the second at which the next cell leaves a window or a tier; 0 when
// the row has no cell left.
func (r *row) nextDue() int64 {
	now := r.origin.now
	due := int64(0)
	soonest := func(second int64) {
		if due == 0 || second < due {
			due = second
		}
	}
	leaves := func(tier cell.Tier, step int64) {
		for w := range cell.NumWindows {
			if w.Tier() == tier && step >= w.Start(now) {
				soonest((step + w.Steps() + 1) * tier.Seconds())
			}
		}
		soonest((step + tier.Kept()) * tier.Seconds())
	}
	for tier := range cell.NumTiers {
		log := &r.logs[tier]
		if due == now+1 {
			return due // it cannot be sooner; so it is for every row in use
		}
		if e, ok := log.Oldest(); ok {
			soonest((int64(e.Step) + tier.Kept()) * tier.Seconds())
			for w := range cell.NumWindows {
				if w.Tier() != tier {
					continue
				}
				if o := log.Seek(uint32(w.Start(now))); log.Holds(o) {
					soonest((int64(log.At(o).Step) + w.Steps() + 1) * tier.Seconds())
				}
			}
		}
	}
	for _, l := range r.live {
		leaves(l.tier, l.step)
	}
	return due
}
