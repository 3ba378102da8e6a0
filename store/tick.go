package store

import (
	"slices"

	"remuda/store/cell"
)

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
func (o *originPart) sum(w *walk, tier cell.Tier, at int64) {
	q := &o.sums[tier]
	for i := 0; i < len(q.lists); {
		step, goal := q.lists[i].step, len(q.lists[i].rows)
		age := at - (step+1)*tier.Seconds()*1000 - sumAfter[tier]
		if age < 0 {
			i++
			continue
		}
		if span := sumWithin[tier] - sumAfter[tier]; age < span {
			goal = min(goal, 1+int(int64(goal)*age/span))
		}
		for ; q.lists[i].done < goal; q.lists[i].done++ {
			w.next()
			l := &q.lists[i]
			if r := o.rows[l.rows[l.done]]; r != nil && r.sumStep(tier, step) {
				w.left -= rowsASum
			}
		}
		if q.lists[i].done < len(q.lists[i].rows) {
			i++
			continue
		}
		// Done: move the list behind the end, where push finds its memory.
		last := len(q.lists) - 1
		q.lists[i], q.lists[last] = q.lists[last], q.lists[i]
		q.lists = q.lists[:last]
	}
}

// rowsASum is how many rows can be packed in the time of a sum.
const rowsASum = 8

// sumStep sums the finer cells of a step unless that has been done.
func (r *row) sumStep(tier cell.Tier, step int64) (made bool) {
	finer := tier - 1
	if r.has(tier, step) || !r.hasAny(finer, step*tier.Ratio(), (step+1)*tier.Ratio()) {
		return false
	}
	r.cell(tier, step)
	r.origin.markDirty(r)
	return true
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
// Open cells stay open until their step is over.
//
// It is a walk, and while it lasts calls go on being counted: those of a row that it has
// passed are of the next sequence, others of this one. No row is packed twice with a
// stamp, so whoever has a row as of a stamp has all of it that has that stamp. The digest
// is right when the last shard is done, and only then does the store say that there is
// the sequence.
func (o *originPart) tick(w *walk, stamp uint32, at int64) {
	for tier := cell.Tier10s; tier < cell.NumTiers; tier++ {
		o.sum(w, tier, at)
	}
	listed, kept := len(o.dirty), 0 // what gets dirty meanwhile is listed behind
	for i := range listed {
		w.next()
		slot := o.dirty[i]
		r := o.rows[slot]
		if r == nil || !r.dirty || r.stamp == stamp {
			continue // the slot has had another row since, which is listed once more
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
			r.closeSequence()
		}
		if len(r.live) > 0 {
			o.dirty[kept] = slot
			kept++
		} else {
			r.dirty = false
		}
	}
	o.dirty = slices.Delete(o.dirty, kept, listed)
}

// closeSequence brings the row's share of the digest up to date.
func (r *row) closeSequence() {
	digest := r.series.digest(&r.lifetime)
	r.origin.digest.Add(digest - r.digest)
	r.digest = digest
}
