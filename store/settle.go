package store

import "remuda/store/cell"

// What time alone does to a row: cells leave windows, are summed and dropped.

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
