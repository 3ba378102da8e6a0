package store

import (
	"hash/maphash"
	"slices"

	"remuda/store/cell"
)

// How the calls of a batch come into their cells.

// count adds the calls of accepted decisions to their series.
func (s *Store) count(b *batch, second int64) {
	b.overflown = b.overflown[:0]
	var at [numShards + 1]int32 // where the touches of a shard end in order
	n := int32(0)
	for i := range b.touches {
		if t := &b.touches[i]; b.verdicts[t.event] == accepted {
			at[shardOf(t.hash)+1]++
			n++
		}
	}
	for n := range numShards {
		at[n+1] += at[n]
	}
	b.order = slices.Grow(b.order[:0], int(n))[:n]
	for i := range b.touches {
		if t := &b.touches[i]; b.verdicts[t.event] == accepted {
			next := &at[shardOf(t.hash)]
			b.order[*next] = int32(i)
			*next++
		}
	}
	from := int32(0)
	for n, end := range at[:numShards] {
		order := b.order[from:end]
		from = end
		if len(order) == 0 {
			continue
		}
		sh := &s.shards[n]
		sh.mu.Lock()
		sh.advance(second)
		s.revision.Add(1)
		if sh.rows.used > 64 { // fewer stay in the cache
			sh.fetch(b.touches, order)
		}
		for _, i := range order {
			t := &b.touches[i]
			if !sh.count(t, b.keys[t.key:t.key+uint32(t.size)], b.runs[t.run].profile, 0) {
				b.overflown = append(b.overflown, i)
			}
		}
		sh.mu.Unlock()
	}
	for _, i := range b.overflown {
		t := &b.touches[i]
		s.countOverflow(t, b.keys[t.key:t.key+uint32(t.size)], b.runs[t.run].profile, second)
	}
}

// hash places a series in a shard and in its index.
func (s *Store) hash(key string) uint64 { return maphash.String(s.seed, key) }

func shardOf(hash uint64) int { return int(hash >> 58) }

// countOverflow counts a call whose series has no room under a coarser key.
func (s *Store) countOverflow(t *touch, key []byte, p *profile, second int64) {
	s.overflow.Add(uint64(t.Weight))
	p.overflow.Add(uint64(t.Weight))
	for level := 1; level <= 2; level++ {
		coarser := overflowKey(key, level)
		t.hash = maphash.Bytes(s.seed, coarser)
		sh := &s.shards[shardOf(t.hash)]
		sh.mu.Lock()
		sh.advance(second)
		s.revision.Add(1)
		ok := sh.count(t, coarser, p, level)
		sh.mu.Unlock()
		if ok {
			return
		}
	}
}

// reserveSeries takes a place for a new series. Series without their method get
// an eighth on top of the cap; those with nothing but their profile are few and
// always get a place.
func (s *Store) reserveSeries(p *profile, level int) bool {
	limit, profileLimit := int64(s.options.MaxSeries), int64(s.options.MaxSeriesPerProfile)
	if level == 1 {
		limit, profileLimit = limit+limit/8, profileLimit+profileLimit/8
	}
	total, own := s.seriesCount.Add(1), p.series.Add(1)
	if level == 2 || total <= limit && own <= profileLimit {
		return true
	}
	s.seriesCount.Add(-1)
	p.series.Add(-1)
	return false
}

// count adds one call to its series, a new one while there is room. The caller
// holds the shard's mutex.
func (sh *shard) count(t *touch, key []byte, p *profile, level int) bool {
	r := sh.rows.find(t.hash, key)
	if r == nil {
		if r = sh.localRow(t.hash, key, p, level); r == nil {
			return false
		}
	}
	if r.touched <= sh.read {
		sh.touch(r.series)
		r.touched = r.series.revision
	}
	r.lastSeen = max(r.lastSeen, t.ts)

	// Fast path: the second of the call before.
	if second := t.ts / 1000; r.cur == nil || r.cur.step != second {
		r.countSlow(&t.Call, second)
	} else {
		r.cur.add(&t.Call)
	}
	if !r.dirty {
		r.origin.markDirty(r)
	}
	return true
}

// fetch begins to bring what the counting of touches needs into the cache, each
// kind of thing for all of them before the next, so that the waits overlap.
func (sh *shard) fetch(touches []touch, order []int32) {
	var rows [fetched]*row
	ahead := uint64(0)
	for len(order) > 0 {
		n := min(len(order), fetched)
		for i, t := range order[:n] {
			rows[i] = sh.rows.guess(touches[t].hash)
		}
		for _, r := range rows[:n] {
			if r != nil {
				ahead ^= r.touched
			}
		}
		for _, r := range rows[:n] {
			if r != nil && r.cur != nil {
				ahead ^= r.cur.Calls ^ uint64(r.key[0])
			}
		}
		order = order[n:]
	}
	sh.ahead = ahead
}

// fetched is how many touches are fetched at a time.
const fetched = 32

// localRow makes this node's own row of a series; nil when there is no room.
func (sh *shard) localRow(hash uint64, key []byte, p *profile, level int) *row {
	s := sh.find(hash, key)
	if s == nil {
		if !sh.store.reserveSeries(p, level) {
			return nil
		}
		s = sh.add(hash, key, p)
	}
	r := sh.local().addRow(s)
	sh.rows.add(hash, r)
	return r
}

// countSlow adds a call to a new second, or an old one.
func (r *row) countSlow(k *cell.Call, second int64) {
	tier, step := r.tierOf(second)
	if r.origin.earlyStep(tier, step) {
		r.origin.vouch(r.series.profile, tier, step)
	}
	l := r.cell(tier, step)
	l.add(k)
	summed := false
	for t, s := tier+1, step; t < cell.NumTiers; t++ {
		s /= t.Ratio()
		if !r.has(t, s) {
			continue
		}
		// The sum of this step was made: it grows too.
		c := r.cell(t, s)
		c.addTold(k)
		summed = true
	}
	if tier == cell.Tier1s && !summed {
		r.cur = l
	}
}

// tierOf is the finest tier that still keeps a second.
func (r *row) tierOf(second int64) (tier cell.Tier, step int64) {
	for tier = cell.Tier1s; tier < cell.Tier60s; tier++ {
		if step = tier.StepAt(second); step >= tier.KeptFrom(r.origin.now) {
			return tier, step
		}
	}
	return cell.Tier60s, max(cell.Tier60s.StepAt(second), cell.Tier60s.KeptFrom(r.origin.now))
}

// cell opens the cell of a step and sees to it that the row is settled when the
// cell leaves its first window.
func (r *row) cell(tier cell.Tier, step int64) *liveCell {
	if l := r.open(tier, step); l != nil {
		return l
	}
	l := r.openCell(tier, step)
	r.queueSum(tier, step)
	o := r.origin
	if tier == cell.Tier1s && step >= cell.Window10s.Start(o.now) {
		o.schedule(r, step+cell.Window10s.Steps()+1)
	} else {
		o.schedule(r, o.now+1)
	}
	return l
}
