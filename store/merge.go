package store

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"remuda/store/cell"
	"remuda/store/ids"
)

// OriginID names one run of a node: the only writer of its rows.
type OriginID struct {
	Node        string
	Incarnation uint64
}

// A CellState is one packed cell of a row. Cells are absolute: of two states of
// the same step the one with the newer stamp is right, whatever arrived first.
type CellState struct {
	Tier  cell.Tier // 0, 1, 2: steps of 1, 10, 60 s
	Step  int64     // seconds since the epoch divided by the length of the tier's step
	Stamp uint64
	// Summed says that the cell was, at its stamp, the sum of the finer cells of its
	// step. Packed may then be left out for somebody who has all of those.
	Summed bool
	Packed []byte // see cell.Cell.AppendPacked
}

// A RowState is what has changed of one row of an origin.
type RowState struct {
	Key   string // the series: its dimensions, see series.go
	Born  uint64 // stamp of its first cell; a row that aged out and came back is another
	Stamp uint64 // of the newest cell it had, which may have been dropped since
	// Lifetime is everything ever counted in the row. When Even is set it grew by just
	// what the cells of tier 0 grew since Since, the stamp asked for, and may be left
	// out for somebody who has all up to that. With the numbers of the example at row:
	// after 7, at tick 8, the state has Since 7, Stamp 8, the cell of second 100 with 5
	// calls, and is even: who holds that cell with 3 calls and a lifetime of 3 makes it 5.
	// At tick 9 the state after 7 is not even, and has the lifetime, which is 6.
	Lifetime cell.Lifetime
	Even     bool
	Since    uint64
	Cells    []CellState
}

// derived says that the lifetime was left out.
func (s *RowState) derived() bool { return s.Even && s.Lifetime == (cell.Lifetime{}) }

// Errors of Merge.
var (
	ErrDamaged  = errors.New("damaged state")
	ErrOwnState = errors.New("state of this node's own run")
	ErrNoRoom   = errors.New("no room for another series")
	ErrGap      = errors.New("state that builds on what is not here")
)

// Tiers says which cells Changed is to give.
type Tiers uint8

// The newest are those of 1 s steps; the others are older or the sum of newer ones.
const (
	NewestTier Tiers = 1 << cell.Tier1s
	AllTiers   Tiers = 1<<cell.NumTiers - 1
)

// Changed calls yield, in no order, for every row of an origin with cells
// stamped after a sequence, until yield returns false. The state is valid during
// the call. Open cells are included as of the last tick: nothing leaves a node
// between ticks. It may include what ticks close meanwhile.
func (s *Store) Changed(id OriginID, after uint64, tiers Tiers, yield func(*RowState) bool) {
	var state RowState
	var packed []byte
	var w walk
	for i := range s.shards {
		sh := &s.shards[i]
		w.begin(sh)
		// After a pause much is too old for others to take; what is told is its sums. And
		// yield may have taken long.
		sh.advance(s.clock.now() / 1000)
		part := sh.part(id)
		if part == nil {
			w.end()
			continue
		}
		for slot := 0; slot < len(part.rows); slot++ {
			w.next()
			r := part.rows[slot]
			if r == nil || uint64(r.stamp) <= after || r.stamp == 0 {
				continue
			}
			state = RowState{
				Key: r.key, Born: uint64(r.born), Stamp: uint64(r.stamp), Lifetime: r.lifetime.Lifetime(),
				Even: uint64(r.uneven) <= after, Since: after, Cells: state.Cells[:0],
			}
			packed = packed[:0]
			for tier := range cell.NumTiers {
				if tiers&(1<<tier) == 0 {
					continue
				}
				log := &r.logs[tier]
				for o := log.Begin(); log.Holds(o); {
					e := log.At(o)
					o = e.Next
					if uint64(e.Stamp) <= after {
						continue
					}
					begin := len(packed)
					packed = append(packed, e.Packed...)
					state.Cells = append(state.Cells, CellState{
						Tier: tier, Step: int64(e.Step), Stamp: uint64(e.Stamp), Summed: e.Summed,
						Packed: packed[begin:len(packed):len(packed)],
					})
				}
			}
			w.end()
			if !yield(&state) {
				return
			}
			w.begin(sh)
		}
		w.end()
	}
}

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
		if uint64(old.Stamp) == c.Stamp && content.Samples <= scratch.Samples {
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

// rememberStart is the longest time (ms) before a run began that it can be told calls
// of: the longest window, its running step, and the rounding to steps.
const rememberStart = 3_720_000

// origin returns the one record of an origin that its parts share.
func (s *Store) origin(id OriginID) *origin {
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	o := s.origins[id]
	if o == nil {
		// Incarnations are, unless a clock went back, when a run began.
		o = &origin{name: id.Node, incarnation: id.Incarnation, began: int64(min(id.Incarnation, math.MaxInt64))}
		s.origins[id] = o
	}
	return o
}

// Digest is a sum over all that an origin ever reported: of a hash of each row's
// lifetime totals and of each latest value, as of the last tick or merge. Nodes
// that have merged the same states have the same digest, whatever their clocks say
// and whatever has aged out of windows.
func (s *Store) Digest(id OriginID) uint64 {
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	if o := s.origins[id]; o != nil {
		return o.digest.Load()
	}
	return 0
}

// Calibrate sets the digest of an origin of which not everything that ever was is
// here, because this node got to know it later.
func (s *Store) Calibrate(id OriginID, digest uint64) { s.origin(id).digest.Store(digest) }

// SetClock notes what an origin's clock says now (ms). Its cells are aged by that
// clock: whole seconds are enough, and differences that delays explain are ignored.
func (s *Store) SetClock(id OriginID, wall int64) {
	const trifle = 2000
	o := s.origin(id)
	ahead := wall - s.clock.now()
	if d := ahead - o.skew.Load()*1000; d > trifle || d < -trifle {
		skew := (ahead + 500) / 1000
		if ahead < 0 {
			skew = (ahead - 500) / 1000
		}
		if skew >= -1 && skew <= 1 {
			skew = 0
		}
		o.skew.Store(skew)
		s.skews.Add(1)
	}
}

// Skew is by how much an origin's clock is ahead of what time it is here, in whole
// seconds but for this node's own; 0 when it is less than delays can explain.
func (s *Store) Skew(id OriginID) time.Duration {
	skew := time.Duration(s.clock.behind.Load()) * time.Millisecond
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	if o := s.origins[id]; o != nil {
		skew += time.Duration(o.skew.Load()) * time.Second
	}
	return skew
}

// Origins lists the runs of nodes that the store holds anything of.
func (s *Store) Origins() []OriginID {
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	list := make([]OriginID, 0, len(s.origins))
	for id := range s.origins {
		list = append(list, id)
	}
	slices.SortFunc(list, func(a, b OriginID) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), cmp.Compare(a.Incarnation, b.Incarnation))
	})
	return list
}

// Sequence is the number of ticks that this node has closed.
func (s *Store) Sequence() uint64 { return s.sequence.Load() }

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
