package store

import "unsafe"

// A row is one series as counted by one origin. All of it is guarded by the
// mutex of the shard that holds it.
//
// A step of a tier is in one of two places: open, as a cell in live that is
// being written, or packed, in the log of its tier. An open step that was packed
// by a tick stays live until it closes; then only the packed cell is left. A late
// event opens a packed cell again.
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
	// cell had which was dropped since.
	uneven uint32
	due    int64 // second at which something of it leaves a window or a tier; 0 = never

	live   []*liveCell
	logs   [numTiers]cellLog
	totals [NumWindows]*windowTotal // made when a reader asks, dropped when none does; nil also when there is no room
	queued [numTiers]int64          // newest coarser step the row was queued to sum, see sumQueue

	lifetime counts // everything ever counted in this row, as of the last tick
	owed     counts // by cells that were dropped before a tick had packed them: the next that is packed adds it
	digest   uint64 // this row's share of the origin's digest
}

// windowTotal is the sum of the packed cells of a row inside a window; open ones
// are added by the reader.
type windowTotal struct {
	cell
	rescan bool  // a least or greatest latency may be of a cell that left
	held   int32 // bytes, as Options.TotalBytes bounds
}

// counted reports whether a cell is part of a window that starts at start. A
// finer cell counts until the sum of its step is there.
func (r *row) counted(w Window, start int64, tier int, step int64) bool {
	base := windowTier[w]
	if tier > base {
		return false
	}
	for tier < base {
		tier++
		step /= tierRatio[tier]
		if r.has(tier, step) {
			return false
		}
	}
	return step >= start
}

func (r *row) has(tier int, step int64) bool {
	return r.open(tier, step) != nil || r.logs[tier].has(uint32(step))
}

// open returns the open cell of a step, nil when it is not open.
func (r *row) open(tier int, step int64) *liveCell {
	for _, l := range r.live {
		if l.step == step && int(l.tier) == tier {
			return l
		}
	}
	return nil
}

// openCell returns the cell of a step for writing.
func (r *row) openCell(tier int, step int64) *liveCell {
	if l := r.open(tier, step); l != nil {
		return l
	}
	if e, ok := r.logs[tier].find(uint32(step)); ok {
		l := r.origin.newLive(tier, step)
		if err := l.unpack(e.packed, r.origin.shard.store.categories); err != nil {
			panic("store: " + err.Error()) // only cells that passed unpack or were packed here rest in a log
		}
		l.adopt()
		r.addToTotals(tier, tier, step, &l.cell, false)
		r.live = append(r.live, l)
		return l
	}
	l := r.origin.newLive(tier, step)
	if tier > tier1s {
		r.sumFiner(l)
		l.adopt()
		l.summed = true
	}
	r.live = append(r.live, l)
	return l
}

// sumFiner fills a new coarser cell with the finer cells of its step. They stop
// counting in the windows that slide by the coarser tier; the new cell begins to.
func (r *row) sumFiner(l *liveCell) {
	tier := int(l.tier)
	finer := tier - 1
	from := l.step * tierRatio[tier]
	to := from + tierRatio[tier]
	if finer > tier1s { // sum what has not been summed there either
		for step := from; step < to; step++ {
			if !r.has(finer, step) && r.hasAny(finer-1, step*tierRatio[finer], (step+1)*tierRatio[finer]) {
				r.openCell(finer, step)
			}
		}
	}
	scratch := r.origin.scratch()
	defer r.origin.release(scratch)
	log := &r.logs[finer]
	for o := log.seek(uint32(from)); int(o) < len(log.buf); {
		e := log.at(o)
		if int64(e.step) >= to {
			break
		}
		o = e.end
		if r.open(finer, int64(e.step)) != nil {
			continue
		}
		r.unpackInto(scratch, e.packed)
		r.addToTotals(tier, finer, int64(e.step), scratch, false)
		l.merge(scratch)
	}
	for _, f := range r.live {
		if int(f.tier) == finer && f.step >= from && f.step < to {
			l.merge(f.flush())
			if r.cur == f {
				r.cur = nil // from now on a call there changes two cells
			}
		}
	}
	l.dirty = !l.empty()
}

// hasAny reports whether a tier has a cell in [from, to).
func (r *row) hasAny(tier int, from, to int64) bool {
	for _, l := range r.live {
		if int(l.tier) == tier && l.step >= from && l.step < to {
			return true
		}
	}
	log := &r.logs[tier]
	o := log.seek(uint32(from))
	return int(o) < len(log.buf) && int64(log.at(o).step) < to
}

func (r *row) unpackInto(c *cell, packed []byte) {
	c.reset()
	if err := c.unpack(packed, r.origin.shard.store.categories); err != nil {
		panic("store: " + err.Error()) // see openCell
	}
}

// addToTotals adds the content of a packed cell to the totals it counts in, or
// takes it away, for windows that slide by base or coarser.
func (r *row) addToTotals(base, tier int, step int64, c *cell, add bool) {
	for w := range NumWindows {
		t := r.totals[w]
		if t == nil || windowTier[w] < base || !r.counted(w, windowStart(w, r.origin.now), tier, step) {
			continue
		}
		if add {
			t.merge(c)
			r.hold(t)
		} else {
			t.take(c)
		}
	}
}

// size is how many bytes a total takes.
func (t *windowTotal) size() int32 {
	return int32(unsafe.Sizeof(*t)) + 8*int32(cap(t.successes.counts)+cap(t.failures.counts)) + 16*int32(cap(t.categories))
}

// hold says how much a total that is kept takes.
func (r *row) hold(t *windowTotal) {
	if size := t.size(); size != t.held {
		r.origin.shard.store.totalBytes.Add(int64(size - t.held))
		t.held = size
	}
}

func (r *row) dropTotals() {
	for w := range NumWindows {
		r.dropTotal(w)
	}
}

// dropTotal forgets the total of a window.
func (r *row) dropTotal(w Window) {
	if t := r.totals[w]; t != nil {
		r.origin.shard.store.totalBytes.Add(-int64(t.held))
		r.totals[w] = nil
	}
}

func (t *windowTotal) take(c *cell) {
	if t.subtract(c) {
		t.rescan = true
	}
	if t.empty() {
		t.rescan = false
	}
}

// pack writes an open cell to its log, stamped with the sequence being closed.
func (r *row) pack(l *liveCell, stamp uint32) {
	o := r.origin
	old := (l.step+1)*tierSeconds[l.tier] <= o.now-evenFor
	if old {
		l.summed = false // what it is the sum of may be gone at others
	}
	o.packBuf = l.flush().appendPacked(o.packBuf[:0], o.shard.store.categories)
	r.logs[l.tier].put(uint32(l.step), stamp, l.summed, o.packBuf)
	r.stamp = max(r.stamp, stamp)
	if r.born == 0 {
		r.born = stamp
	}
	if old || int(l.tier) > tier1s && !l.summed {
		r.uneven = stamp
	}
	l.dirty = false
	l.news(&r.lifetime)
	l.adopt()
	if r.owed != (counts{}) {
		r.lifetime.merge(&r.owed)
		r.owed, r.uneven = counts{}, stamp
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
	r.addToTotals(int(l.tier), int(l.tier), l.step, l.flush(), true)
	r.origin.releaseLive(l)
}

// addTo adds what the row counted in a window to a sum. It does not change what
// writers see, only brings the total of the window up to date.
func (r *row) addTo(sum *cell, w Window) {
	t := r.total(w)
	sum.merge(&t.cell)
	r.eachCell(windowTier[w], windowStart(w, r.origin.now), nil, func(l *liveCell) { sum.merge(l.flush()) })
}

// total returns the sum of the packed cells of a window, right in every field.
func (r *row) total(w Window) *windowTotal {
	t := r.totals[w]
	if t == nil {
		t = r.makeTotal(w)
	}
	if t.rescan {
		t.rescan = false
		var all, one cell
		r.eachPacked(w, func(_ int, e entry) {
			one = cell{}
			one.packedRanges(e.packed)
			if one.hasSuccess() {
				all.extend(one.min, one.max)
			}
			if one.Errors > 0 {
				all.extendFailed(one.failedMin, one.failedMax)
			}
			all.Calls += one.Calls
			all.Errors += one.Errors
		})
		t.min, t.max, t.failedMin, t.failedMax = all.min, all.max, all.failedMin, all.failedMax
	}
	return t
}

// makeTotal sums the packed cells of a window. The total is kept, so that the next reader
// finds it, while there is room for it; else it is valid until the next is made.
func (r *row) makeTotal(w Window) *windowTotal {
	o := r.origin
	t := &o.passing
	t.reset()
	r.eachPacked(w, func(tier int, e entry) {
		scratch := o.scratch()
		r.unpackInto(scratch, e.packed)
		t.merge(scratch)
		o.release(scratch)
	})
	if st := o.shard.store; st.totalBytes.Load()+int64(t.size()) <= st.options.TotalBytes {
		t, o.passing = &windowTotal{cell: t.cell}, windowTotal{}
		r.hold(t)
		r.totals[w] = t
	}
	return t
}

// eachPacked calls f for the packed, not open cells that count in a window.
func (r *row) eachPacked(w Window, f func(tier int, e entry)) {
	base := windowTier[w]
	r.eachCell(base, windowStart(w, r.origin.now), f, nil)
}

// eachCell calls packed and open for the cells that make up the steps of a tier
// from start on: the tier's own, and finer ones where no sum is there yet. Either
// may be nil.
func (r *row) eachCell(base int, start int64, packed func(tier int, e entry), open func(l *liveCell)) {
	for tier := tier1s; packed != nil && tier <= base; tier++ {
		log := &r.logs[tier]
		var coarser [numTiers]int32 // offsets that only move forward, as steps do
		for t := tier + 1; t <= base; t++ {
			coarser[t] = r.logs[t].head
		}
		for o := log.seek(uint32(start * tierSeconds[base] / tierSeconds[tier])); int(o) < len(log.buf); {
			e := log.at(o)
			o = e.end
			if r.open(tier, int64(e.step)) != nil {
				continue
			}
			summed, step := false, int64(e.step)
			for t := tier + 1; t <= base && !summed; t++ {
				step /= tierRatio[t]
				coarser[t] = r.logs[t].seekFrom(coarser[t], uint32(step))
				summed = r.logs[t].stepAt(coarser[t]) == step || r.open(t, step) != nil
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
		if int(l.tier) > base {
			continue
		}
		summed, step := false, l.step
		for t := int(l.tier) + 1; t <= base; t++ {
			step /= tierRatio[t]
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
	for tier := tier1s; tier < tier60s; tier++ {
		r.sumDropped(tier, keptStart(tier, to))
	}
	for w := range NumWindows {
		base := windowTier[w]
		oldStart, newStart := windowStart(w, from), windowStart(w, to)
		if oldStart == newStart {
			continue
		}
		t := r.totals[w]
		log := &r.logs[base]
		for o := log.seek(uint32(oldStart)); int(o) < len(log.buf); {
			e := log.at(o)
			if int64(e.step) >= newStart {
				break
			}
			o = e.end
			changed = true
			if t != nil && r.open(base, int64(e.step)) == nil {
				scratch := r.origin.scratch()
				r.unpackInto(scratch, e.packed)
				t.take(scratch)
				r.origin.release(scratch)
			}
		}
		for _, l := range r.live {
			if int(l.tier) == base && l.step >= oldStart && l.step < newStart {
				changed = true
			}
		}
		if t != nil && r.origin.unread(w, to) {
			r.dropTotal(w)
		}
	}
	for tier := range numTiers {
		r.drop(tier, keptStart(tier, to))
	}
	return changed
}

// sumDropped opens the coarser cells of the steps of a tier below start that have none.
func (r *row) sumDropped(tier int, start int64) {
	for {
		step := int64(-1)
		log := &r.logs[tier]
		for o := log.head; int(o) < len(log.buf); {
			e := log.at(o)
			if int64(e.step) >= start {
				break
			}
			o = e.end
			if coarser := int64(e.step) / tierRatio[tier+1]; !r.has(tier+1, coarser) {
				step = coarser
				break
			}
		}
		for _, l := range r.live {
			if coarser := l.step / tierRatio[tier+1]; int(l.tier) == tier && l.step < start && !r.has(tier+1, coarser) {
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
	for tier := tier10s; tier < numTiers; tier++ {
		for i := len(r.live) - 1; i >= 0; i-- {
			l := r.live[i]
			if int(l.tier) != tier {
				continue
			}
			stamp := uint32(1)
			log := &r.logs[tier-1]
			for o := log.seek(uint32(l.step * tierRatio[tier])); int(o) < len(log.buf); {
				e := log.at(o)
				if int64(e.step) >= (l.step+1)*tierRatio[tier] {
					break
				}
				o = e.end
				stamp = max(stamp, e.stamp)
			}
			r.pack(l, stamp)
			r.close(l)
		}
	}
}

// drop forgets the cells of a tier below start.
func (r *row) drop(tier int, start int64) {
	log := &r.logs[tier]
	for o, end := log.head, log.seek(uint32(start)); tier < tier60s && o < end; {
		e := log.at(o)
		r.uneven = max(r.uneven, e.stamp) // who does not have it cannot be told to add it up
		o = e.end
	}
	log.dropBefore(uint32(start))
	for i := 0; i < len(r.live); {
		l := r.live[i]
		if int(l.tier) != tier || l.step >= start {
			i++
			continue
		}
		l.news(&r.owed)
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
	leaves := func(tier int, step int64) {
		for w := range NumWindows {
			if windowTier[w] == tier && step >= windowStart(w, now) {
				soonest((step + windowSteps[w] + 1) * tierSeconds[tier])
			}
		}
		soonest((step + tierKept[tier]) * tierSeconds[tier])
	}
	for tier := range numTiers {
		log := &r.logs[tier]
		if due == now+1 {
			return due // it cannot be sooner; so it is for every row in use
		}
		if e, ok := log.first(); ok {
			soonest((int64(e.step) + tierKept[tier]) * tierSeconds[tier])
			for w := range NumWindows {
				if windowTier[w] != tier {
					continue
				}
				if o := log.seek(uint32(windowStart(w, now))); int(o) < len(log.buf) {
					soonest((int64(log.at(o).step) + windowSteps[w] + 1) * tierSeconds[tier])
				}
			}
		}
	}
	for _, l := range r.live {
		leaves(int(l.tier), l.step)
	}
	return due
}
