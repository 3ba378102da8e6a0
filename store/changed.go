package store

import "remuda/store/cell"

// What other nodes are told of what an origin counted.

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
