package store

import (
	"unsafe"

	"remuda/store/cell"
)

// The totals of windows: made when a reader first asks, and kept up from then as cells enter
// and leave.

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
	return int32(int(unsafe.Sizeof(*t)-unsafe.Sizeof(t.Cell)) + t.Size())
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
