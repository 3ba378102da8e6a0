package store

import (
	"errors"

	"remuda/store/cell"
	"remuda/store/ids"
)

// Errors of Merge.
var (
	ErrDamaged  = errors.New("damaged state")
	ErrOwnState = errors.New("state of this node's own run")
	ErrNoRoom   = errors.New("no room for another series")
	ErrGap      = errors.New("state that builds on what is not here")
)

// Merge takes over the state of a row of another node's run. It is idempotent,
// commutative and associative: states may be lost, repeated and reordered, and
// whoever has merged the same ones says the same. Only states that leave out what
// can be worked out (sums, lifetimes) want what they build on: ErrGap says that it
// is not here. What does not need it may have been merged all the same.
func (s *Store) Merge(id OriginID, state *RowState) error {
	if id.Node == s.options.Node && id.Incarnation == s.options.Incarnation {
		return ErrOwnState
	}
	profileName, err := checkKey(state.Key)
	if err != nil {
		return err
	}
	if state.Stamp == 0 || state.Stamp >= 1<<32 || state.Born == 0 || state.Born > state.Stamp {
		return ErrDamaged
	}
	p := s.acquireProfile(profileName)
	if p == nil {
		return ErrNoRoom
	}
	defer p.release()
	hash := s.hash(state.Key)
	sh := &s.shards[shardOf(hash)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	second := s.clock.now() / 1000
	sh.advance(second)
	part := sh.part(id)
	if part == nil {
		o := s.origin(id)
		part = &originPart{origin: o, shard: sh, now: second + o.skew.Load()}
		part.latest = part.now
		sh.parts = append(sh.parts, part)
	}
	r := sh.rowOf(part, hash, state.Key)
	if r == nil && part.rowCount.Load() >= int64(s.options.MaxSeries)+int64(s.options.MaxSeries)/8 {
		return ErrNoRoom
	}
	if state.derived() && !part.tellsAll(r, state) {
		return ErrGap
	}
	return s.mergeRow(p, part, r, hash, state)
}

// tellsAll reports whether what was left out of a state can be worked out: whether the
// row is here, unless all of it is in the state, and no cell in it is one that may have
// been here and was dropped.
func (o *originPart) tellsAll(r *row, state *RowState) bool {
	if (r == nil || uint64(r.born) != state.Born) && state.Born <= state.Since {
		return false
	}
	for i := range state.Cells {
		c := &state.Cells[i]
		if c.Tier != cell.Tier1s {
			continue
		}
		if c.Step < cell.Tier1s.KeptFrom(o.now)-mergeGrace[cell.Tier1s] ||
			r != nil && o.mayHaveDropped(cell.Tier1s, c.Step) && !r.logs[cell.Tier1s].Has(uint32(c.Step)) {
			return false
		}
	}
	return true
}

// mergeGrace is by how many steps a cell may be too old to be kept and is taken all
// the same, by tier: when it is part of no sum yet, the row makes one of it before
// it goes. Clocks and delays make nodes differ by less.
var mergeGrace = [cell.NumTiers]int64{10, 2, 0}

// sumGrace is by how many steps the finer cells of a sum must be younger than those
// that are dropped, by their tier: clocks are only known to some seconds.
var sumGrace = [cell.NumTiers]int64{5, 1, 0}

func (s *Store) mergeRow(p *profile, part *originPart, r *row, hash uint64, state *RowState) error {
	sh := part.shard
	content := part.scratch()
	defer part.release(content)
	var grown cell.Sums // by the cells of the finest tier
	var gap error
	for i := range state.Cells {
		c := &state.Cells[i]
		if c.Tier < 0 || c.Tier >= cell.NumTiers || c.Stamp == 0 || c.Stamp > state.Stamp || c.Step <= 0 || c.Step >= 1<<32 {
			return ErrDamaged
		}
		content.Reset()
		if c.Packed != nil || !c.Summed {
			if err := content.Unpack(c.Packed, s.categories); err != nil {
				return ErrDamaged
			}
		}
		if c.Step < c.Tier.KeptFrom(part.now)-mergeGrace[c.Tier] {
			continue
		}
		if r == nil {
			r = s.foreignRow(p, part, hash, state)
		}
		if c.Packed == nil && c.Summed {
			if e, ok := r.logs[c.Tier].Find(uint32(c.Step)); ok && uint64(e.Stamp) >= c.Stamp {
				continue
			}
			if c.Tier == cell.Tier1s || !r.sumPacked(c, content) {
				gap = ErrGap
				continue
			}
		}
		if changed := r.merge(c, content, &grown); changed {
			s.revision.Add(1)
			sh.touch(r.series)
			part.schedule(r, part.now+1)
		}
	}
	if r == nil { // none of its cells is kept, and its lifetime is all the same
		r = s.foreignRow(p, part, hash, state)
		part.schedule(r, part.now+1)
	}
	r.renew(state, &grown)
	return gap
}

// foreignRow makes the row of a state. The caller holds the shard's mutex.
func (s *Store) foreignRow(p *profile, part *originPart, hash uint64, state *RowState) *row {
	sh := part.shard
	series := sh.find(hash, []byte(state.Key))
	if series == nil {
		s.seriesCount.Add(1)
		p.series.Add(1)
		series = sh.add(hash, []byte(state.Key), p)
	}
	r := part.addRow(series)
	r.born = uint32(state.Born)
	r.digest = part.again(mix(series.mark, state.Born))
	return r
}

// renew brings the lifetime of a row up to that of a state whose cells were merged.
func (r *row) renew(state *RowState, grown *cell.Sums) {
	if state.Born < uint64(r.born) || state.Stamp <= uint64(r.stamp) && r.digest != 0 {
		return
	}
	if state.Born > uint64(r.born) { // it aged out at its origin and came back
		r.born = uint32(state.Born)
		r.lifetime, r.digest = cell.Sums{}, 0
	}
	r.stamp = uint32(state.Stamp)
	if state.derived() {
		r.lifetime.Merge(grown)
	} else {
		r.lifetime.SetLifetime(state.Lifetime)
	}
	r.closeSequence()
}

// sumPacked makes what a summed cell held from the packed finer cells. It reports
// whether there are any.
func (r *row) sumPacked(c *CellState, sum *cell.Cell) bool {
	finer := c.Tier - 1
	log := &r.logs[finer]
	if r.origin.mayHaveDropped(finer, c.Step*c.Tier.Ratio()-sumGrace[finer]) {
		return false
	}
	scratch := r.origin.scratch()
	defer r.origin.release(scratch)
	for o := log.Seek(uint32(c.Step * c.Tier.Ratio())); log.Holds(o); {
		e := log.At(o)
		if int64(e.Step) >= (c.Step+1)*c.Tier.Ratio() {
			break
		}
		o = e.Next
		r.unpackInto(scratch, e.Packed)
		sum.Merge(scratch)
	}
	if sum.Empty() {
		return false
	}
	c.Packed = sum.AppendPacked(nil, r.origin.shard.store.categories)
	return true
}

// merge puts a cell into its place unless a newer one is there. content is what
// is packed in it.
func (r *row) merge(c *CellState, content *cell.Cell, grown *cell.Sums) bool {
	old, had := r.logs[c.Tier].Find(uint32(c.Step))
	if had && uint64(old.Stamp) > c.Stamp {
		return false
	}
	scratch := r.origin.scratch()
	defer r.origin.release(scratch)
	if had {
		r.unpackInto(scratch, old.Packed)
		// Two of the same stamp differ when somebody had to sum the last steps of a run
		// that ended, and some of their cells were gone: more is right.
		if uint64(old.Stamp) == c.Stamp && !more(content, scratch) {
			return false
		}
	}
	end := (c.Step + 1) * c.Tier.Seconds() * 1000
	r.lastSeen = max(r.lastSeen, end-1)
	if o := r.origin; end > o.newest.Load() {
		o.newest.Store(end) // another shard may be at it: near enough
	}
	if r.origin.earlyStep(c.Tier, c.Step) {
		r.origin.vouch(r.series.profile, c.Tier, c.Step)
	}
	if had {
		r.addToTotals(c.Tier, c.Tier, c.Step, scratch, false)
	} else { // finer cells of this step count no more where the sum does
		r.uncountFiner(c.Tier, c.Step)
	}
	if c.Tier == cell.Tier1s {
		grown.Merge(&content.Sums)
		if had {
			grown.Subtract(&scratch.Sums)
		}
	}
	r.logs[c.Tier].Put(uint32(c.Step), uint32(c.Stamp), false, c.Packed)
	r.addToTotals(c.Tier, c.Tier, c.Step, content, true)
	return true
}

// more reports whether a cell holds more tries than another.
func more(a, b *cell.Cell) bool {
	if a.Samples != b.Samples {
		return a.Samples > b.Samples
	}
	return a.NotSent > b.NotSent
}

// uncountFiner takes the finer cells of a step out of the totals that are about
// to have their sum.
func (r *row) uncountFiner(coarser cell.Tier, step int64) {
	scratch := r.origin.scratch()
	defer r.origin.release(scratch)
	for tier := range coarser {
		ratio := coarser.Seconds() / tier.Seconds()
		log := &r.logs[tier]
		for o := log.Seek(uint32(step * ratio)); log.Holds(o); {
			e := log.At(o)
			if int64(e.Step) >= (step+1)*ratio {
				break
			}
			o = e.Next
			r.unpackInto(scratch, e.Packed)
			r.addToTotals(coarser, tier, int64(e.Step), scratch, false)
		}
	}
}

// part returns what an origin counted in the shard, nil when nothing is there.
func (sh *shard) part(id OriginID) *originPart {
	for _, p := range sh.parts {
		if p.name == id.Node && p.incarnation == id.Incarnation {
			return p
		}
	}
	return nil
}

// rowOf returns an origin's row of a series, nil when there is none.
func (sh *shard) rowOf(part *originPart, hash uint64, key string) *row {
	if s := sh.find(hash, []byte(key)); s != nil {
		for _, r := range s.rows {
			if r.origin == part {
				return r
			}
		}
	}
	return nil
}

// checkKey refuses what is not the key of a series and returns its profile.
func checkKey(key string) (profile string, err error) {
	if len(key) > maxKey || len(key) < keyDims+keyTail {
		return "", ErrDamaged
	}
	dims, last := key[:len(key)-keyTail], key[len(key)-keyTail:]
	n, begin := 0, 0
	for i := range len(dims) {
		if dims[i] != 0 {
			continue
		}
		if !ids.ValidName(dims[begin:i]) {
			return "", ErrDamaged
		}
		if n == dimensions[ProfileDim].at {
			profile = dims[begin:i]
		}
		n++
		begin = i + 1
	}
	if n != keyDims || begin != len(dims) ||
		last[dimensions[TransportDim].at] >= byte(numTransports) || last[dimensions[RequestOriginDim].at] >= byte(numRequestOrigins) {
		return "", ErrDamaged
	}
	return profile, nil
}
