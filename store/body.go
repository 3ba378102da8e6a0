package store

// A Body tells apart the equal events of one body, whose chunks are applied one after
// the other: the n-th of equal decisions is an event of its own, so that the items of
// a batch of calls all count, and is the n-th again when the body is repeated. The
// zero value is ready. It belongs to one goroutine, and holds eight bytes an event; some
// more once anything in the body was seen before.
type Body struct {
	number  uint64            // of all bodies of the store; 0 until its first part is applied
	hashes  []uint64          // of identities, in the order of the events
	counted int               // how many of hashes are in times
	times   map[uint64]uint64 // how often each occurred; made when first asked for

	fresh map[valueKey]struct{} // latest values that were admitted, see Store.Admit
}

// keptHashes is for how many events memory is kept for the next body.
const keptHashes = 1 << 16

// Reset prepares for another body.
func (y *Body) Reset() {
	if y.counted > keptHashes {
		y.times = nil
	}
	if cap(y.hashes) > keptHashes {
		y.hashes = nil
	}
	clear(y.times)
	y.fresh = nil
	y.hashes, y.counted, y.number = y.hashes[:0], 0, 0
}

// numbered returns the number of a body, the next when it has none; y may be nil.
func (s *Store) numbered(y *Body) uint64 {
	if y == nil {
		return s.bodies.Add(1)
	}
	if y.number == 0 {
		y.number = s.bodies.Add(1)
	}
	return y.number
}

// nth notes that an identity occurs, and returns how often it has before.
func (y *Body) nth(hash uint64) uint64 {
	if y.times == nil {
		y.times = make(map[uint64]uint64)
	}
	for _, h := range y.hashes[y.counted:] {
		y.times[h]++
	}
	n := y.times[hash]
	y.times[hash] = n + 1
	y.hashes = append(y.hashes, hash)
	y.counted = len(y.hashes)
	return n
}
