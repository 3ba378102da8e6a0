package store

import "remuda/store/cell"

// A sumQueue lists rows whose finer cells are to be summed into a coarser step,
// by step. The sums are made after the step has closed, a share of them at each
// tick, so that no tick and no delta swells.
type sumQueue struct {
	lists []sumList
}

type sumList struct {
	step int64
	rows []uint32
	done int
}

func (q *sumQueue) push(step int64, slot uint32) {
	for i := range q.lists {
		if q.lists[i].step == step {
			q.lists[i].rows = append(q.lists[i].rows, slot)
			return
		}
	}
	if n := len(q.lists); n < cap(q.lists) { // reuse the memory of a list that is done
		q.lists = q.lists[:n+1]
		l := &q.lists[n]
		l.step, l.rows, l.done = step, append(l.rows[:0], slot), 0
		return
	}
	q.lists = append(q.lists, sumList{step: step, rows: []uint32{slot}})
}

var (
	// sumAfter and sumWithin say, by the coarser tier, when after the end of a step
	// its sums are begun and when the last is made, in ms. Minutes wait for the sums
	// of their last ten seconds.
	sumAfter  = [cell.NumTiers]int64{0, 0, 6_000}
	sumWithin = [cell.NumTiers]int64{0, 4_000, 28_000}
)

// sum makes the sums that are due at an instant (ms).
func (o *originPart) sum(tier cell.Tier, at int64) {
	q := &o.sums[tier]
	for i := 0; i < len(q.lists); {
		l := &q.lists[i]
		age := at - (l.step+1)*tier.Seconds()*1000 - sumAfter[tier]
		if age < 0 {
			i++
			continue
		}
		goal := len(l.rows)
		if span := sumWithin[tier] - sumAfter[tier]; age < span {
			goal = min(goal, 1+int(int64(goal)*age/span))
		}
		for ; l.done < goal; l.done++ {
			if r := o.rows[l.rows[l.done]]; r != nil {
				r.sumStep(tier, l.step)
			}
		}
		if l.done < len(l.rows) {
			i++
			continue
		}
		// Done: move the list behind the end, where push finds its memory.
		last := len(q.lists) - 1
		q.lists[i], q.lists[last] = q.lists[last], q.lists[i]
		q.lists = q.lists[:last]
	}
}

// sumStep sums the finer cells of a step unless that has been done.
func (r *row) sumStep(tier cell.Tier, step int64) {
	finer := tier - 1
	if r.has(tier, step) || !r.hasAny(finer, step*tier.Ratio(), (step+1)*tier.Ratio()) {
		return
	}
	r.cell(tier, step)
	r.origin.markDirty(r)
}

// queueSum asks for the sum of the coarser step that a new cell belongs to.
func (r *row) queueSum(finer cell.Tier, step int64) {
	tier := finer + 1
	if tier >= cell.NumTiers {
		return
	}
	coarser := step / tier.Ratio()
	if r.queued[tier] == coarser {
		return
	}
	r.queued[tier] = max(r.queued[tier], coarser)
	r.origin.sums[tier].push(coarser, r.slot)
}

func (o *originPart) markDirty(r *row) {
	if !r.dirty {
		r.dirty = true
		o.dirty = append(o.dirty, r.slot)
	}
}

// tick closes a sequence: what changed since the last one is packed and stamped.
// Open cells stay open until their step is over. It returns how many rows changed.
func (o *originPart) tick(stamp uint32, at int64) (changed int) {
	for tier := cell.Tier10s; tier < cell.NumTiers; tier++ {
		o.sum(tier, at)
	}
	kept := o.dirty[:0]
	for _, slot := range o.dirty {
		r := o.rows[slot]
		if r == nil || !r.dirty {
			continue // the slot has had another row since
		}
		packed := false
		for i := len(r.live) - 1; i >= 0; i-- {
			l := r.live[i]
			if l.dirty {
				r.pack(l, stamp)
				packed = true
			}
			if l.step < l.tier.StepAt(o.now) {
				r.close(l)
			}
		}
		if packed {
			changed++
			r.closeSequence()
		}
		if len(r.live) > 0 {
			kept = append(kept, slot)
		} else {
			r.dirty = false
		}
	}
	o.dirty = kept
	return changed
}

// closeSequence brings the row's share of the digest up to date.
func (r *row) closeSequence() {
	digest := r.series.digest(&r.lifetime)
	r.origin.digest.Add(digest - r.digest)
	r.digest = digest
}
