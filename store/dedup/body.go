package dedup

// A Body tells apart the equal events of one body, whose parts are looked up one after
// the other: the n-th of equal ones may be an event of its own, and is the n-th again when
// the body is repeated. The zero value is ready. It belongs to one goroutine, and holds
// eight bytes an event; some more once anything in the body was seen before.
type Body struct {
	hashes  []uint64          // of identities, in the order of the events
	counted int               // how many of hashes are in times
	times   map[uint64]uint64 // how often each occurred; made when first asked for
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
	y.hashes, y.counted = y.hashes[:0], 0
}

// Note notes that the identities of a batch occur, each for the n-th time, whichever n is:
// that is worked out when Nth is first asked.
func (y *Body) Note(b *Batch) {
	for i := range b.list {
		y.hashes = append(y.hashes, b.list[i].Hash)
	}
}

// Nth notes that an identity occurs, and returns how often it has before.
func (y *Body) Nth(hash uint64) uint64 {
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
