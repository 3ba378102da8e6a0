package store

import "errors"

// OriginID names one run of a node: the only writer of its rows.
type OriginID struct {
	Node        string
	Incarnation uint64
}

// A CellState is one packed cell of a row. Cells are absolute: of two states of
// the same step the one with the newer stamp is right, whatever arrived first.
type CellState struct {
	Tier   int   // 0, 1, 2: steps of 1, 10, 60 s
	Step   int64 // seconds since the epoch divided by the length of the tier's step
	Stamp  uint64
	Packed []byte // see pack.go
}

// A RowState is what has changed of one row of an origin.
type RowState struct {
	Key      string // the series: its dimensions, see series.go
	Stamp    uint64 // of the newest cell
	Lifetime [9]uint64
	Cells    []CellState
}

// Errors of Merge.
var (
	ErrDamaged  = errors.New("damaged state")
	ErrOwnState = errors.New("state of this node's own run")
	ErrNoRoom   = errors.New("no room for another series")
)

// Changed calls yield, in no order, for every row of an origin with cells
// stamped after a sequence, until yield returns false. The state is valid during
// the call. Open cells are included as of the last tick: nothing leaves a node
// between ticks.
func (s *Store) Changed(id OriginID, after uint64, yield func(*RowState) bool) {
	var state RowState
	var packed []byte
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		part := sh.part(id)
		if part == nil {
			sh.mu.Unlock()
			continue
		}
		// Slots stay what they are while the mutex is free between two rows.
		for slot := 0; slot < len(part.rows); slot++ {
			r := part.rows[slot]
			if r == nil || uint64(r.stamp) <= after {
				continue
			}
			state = RowState{Key: r.key, Stamp: uint64(r.stamp), Lifetime: r.lifetime.list(), Cells: state.Cells[:0]}
			packed = packed[:0]
			for tier := range r.logs {
				log := &r.logs[tier]
				for o := log.head; int(o) < len(log.buf); {
					e := log.at(o)
					o = e.end
					if uint64(e.stamp) <= after {
						continue
					}
					begin := len(packed)
					packed = append(packed, e.packed...)
					state.Cells = append(state.Cells, CellState{
						Tier: tier, Step: int64(e.step), Stamp: uint64(e.stamp), Packed: packed[begin:len(packed):len(packed)],
					})
				}
			}
			sh.mu.Unlock()
			ok := yield(&state)
			sh.mu.Lock()
			if !ok {
				sh.mu.Unlock()
				return
			}
		}
		sh.mu.Unlock()
	}
}

// Merge takes over the state of a row of another node's run. It is idempotent,
// commutative and associative: states may be lost, repeated and reordered, and
// whoever has merged the same ones says the same.
func (s *Store) Merge(id OriginID, state *RowState) error {
	if id.Node == s.options.Node && id.Incarnation == s.options.Incarnation {
		return ErrOwnState
	}
	profileName, err := checkKey(state.Key)
	if err != nil {
		return err
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
		part = &originPart{origin: s.origin(id), shard: sh, now: second}
		sh.parts = append(sh.parts, part)
	}

	r := sh.rowOf(part, hash, state.Key)
	scratch := part.scratch()
	defer part.release(scratch)
	for i := range state.Cells {
		c := &state.Cells[i]
		if c.Tier < 0 || c.Tier >= numTiers || c.Stamp == 0 || c.Stamp >= 1<<32 || c.Step <= 0 || c.Step >= 1<<32 {
			return ErrDamaged
		}
		scratch.reset()
		if err := scratch.unpack(c.Packed, s.categories); err != nil {
			return ErrDamaged
		}
		if c.Step < keptStart(c.Tier, part.now) {
			continue // it has aged out on the way
		}
		if r == nil {
			series := sh.find(hash, []byte(state.Key))
			if series == nil {
				if !s.reserveSeries(p, 0) {
					return ErrNoRoom
				}
				series = sh.add(hash, []byte(state.Key), p)
			}
			r = part.addRow(series)
		}
		if r.merge(c, scratch) {
			s.revision.Add(1)
			sh.touch(r.series)
			part.schedule(r, part.now+1)
		}
	}
	if r != nil && (state.Stamp > uint64(r.stamp) || r.digest == 0) {
		r.stamp = uint32(state.Stamp)
		r.lifetime.set(state.Lifetime)
		r.closeSequence()
	}
	return nil
}

// merge puts a cell into its place unless a newer one is there. content is what
// is packed in it.
func (r *row) merge(c *CellState, content *cell) bool {
	old, had := r.logs[c.Tier].find(uint32(c.Step))
	if had && uint64(old.stamp) >= c.Stamp {
		return false
	}
	r.lastSeen = max(r.lastSeen, ((c.Step+1)*tierSeconds[c.Tier])*1000-1)
	scratch := r.origin.scratch()
	defer r.origin.release(scratch)
	switch l := r.open(c.Tier, c.Step); {
	case l != nil: // a sum made here because the origin's own did not come
		r.discard(l)
	case had:
		r.unpackInto(scratch, old.packed)
		r.addToTotals(c.Tier, c.Tier, c.Step, scratch, false)
	default: // finer cells of this step count no more where the sum does
		for tier := range c.Tier {
			ratio := tierSeconds[c.Tier] / tierSeconds[tier]
			log := &r.logs[tier]
			for o := log.seek(uint32(c.Step * ratio)); int(o) < len(log.buf); {
				e := log.at(o)
				if int64(e.step) >= (c.Step+1)*ratio {
					break
				}
				o = e.end
				r.unpackInto(scratch, e.packed)
				r.addToTotals(c.Tier, tier, int64(e.step), scratch, false)
			}
		}
	}
	r.logs[c.Tier].put(uint32(c.Step), uint32(c.Stamp), c.Packed)
	r.addToTotals(c.Tier, c.Tier, c.Step, content, true)
	return true
}

// discard takes an open cell out without a trace.
func (r *row) discard(l *liveCell) {
	for i, other := range r.live {
		if other == l {
			r.live = append(r.live[:i], r.live[i+1:]...)
			break
		}
	}
	r.origin.releaseLive(l)
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

// origin returns the one record of an origin that its parts share.
func (s *Store) origin(id OriginID) *origin {
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	o := s.origins[id]
	if o == nil {
		o = &origin{name: id.Node, incarnation: id.Incarnation}
		s.origins[id] = o
	}
	return o
}

// Digest is a sum over the rows of an origin of a hash of their lifetime totals,
// as of the last tick or merge. Nodes that have merged the same states have the
// same digest, whatever their clocks say and whatever has aged out of windows.
func (s *Store) Digest(id OriginID) (digest uint64) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		if p := sh.part(id); p != nil {
			digest += p.digest
		}
		sh.mu.Unlock()
	}
	return digest
}

// Sequence is the number of ticks that this node has closed.
func (s *Store) Sequence() uint64 { return s.sequence.Load() }

func (c *counts) list() [9]uint64 {
	return [9]uint64{
		c.calls, c.errors, c.providerErrors, c.requests, c.requestErrors, c.failovers, c.samples, c.sum.low, c.sum.high,
	}
}

func (c *counts) set(l [9]uint64) {
	*c = counts{
		calls: l[0], errors: l[1], providerErrors: l[2], requests: l[3], requestErrors: l[4], failovers: l[5],
		samples: l[6], sum: uint128{low: l[7], high: l[8]},
	}
}

// checkKey refuses what is not the key of a series and returns its profile.
func checkKey(key string) (profile string, err error) {
	const tail = 2 // transport and request origin
	if len(key) > maxKey || len(key) < keyDims+tail {
		return "", ErrDamaged
	}
	dims, last := key[:len(key)-tail], key[len(key)-tail:]
	n, begin := 0, 0
	for i := range len(dims) {
		if dims[i] != 0 {
			continue
		}
		if i == begin || i-begin > maxID {
			return "", ErrDamaged
		}
		if n == 0 {
			profile = key[:i]
		}
		n++
		begin = i + 1
	}
	if n != keyDims || begin != len(dims) || last[0] >= byte(numTransports) || last[1] >= byte(numRequestOrigins) {
		return "", ErrDamaged
	}
	return profile, nil
}
