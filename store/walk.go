package store

// rowsAHold is how many rows a walk looks at before it gives the shard away: few enough
// that who waits does not feel it, and so many that giving it away costs nothing.
const rowsAHold = 128

// A walk goes over the rows of a shard that may be very many: all that changed since the
// last tick, all there are. It holds the shard's mutex for some rows at a time and gives
// it away in between. Somebody who waits may miss it some times, since who runs is faster
// than who is woken; after a millisecond sync.Mutex hands it over. To step aside for
// whatever runs would be fair at once, and on a busy node a tick would not end in time.
//
// Settling a new second (shard.advance) is no walk: rows share the second up to which they
// are settled, and half of them cannot be.
//
// While it is away others count, merge and settle: a tick that begins at 12:00:00.9 may
// end in a shard that is settled up to 12:00:01. What a walk relies on is this.
//
//   - A row is looked at within one hold. What is packed, told or added up of it is of one
//     instant; of different rows it is not.
//   - Slots are not moved. A row keeps its slot until it is removed, and then the slot may
//     be that of another, which is new. So nothing but slots is kept from hold to hold.
//   - Lists of slots only grow at their ends meanwhile, and only a tick, of which there is
//     one at a time, takes anything out. Growing may move them: they are indexed, and
//     pointers into them are not kept.
type walk struct {
	shard *shard
	left  int
}

// begin takes the mutex of a shard.
func (w *walk) begin(sh *shard) {
	w.shard, w.left = sh, rowsAHold
	sh.mu.Lock()
}

// next is called before each row, when nothing is known of any.
func (w *walk) next() {
	if w.left--; w.left < 0 {
		w.end()
		w.begin(w.shard)
	}
}

// end gives the mutex away.
func (w *walk) end() {
	w.shard.mu.Unlock()
	if ended := w.shard.store.holdEnded; ended != nil {
		ended(w.shard)
	}
}
