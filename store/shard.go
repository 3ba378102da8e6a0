package store

import "sync"

// numShards is a power of two. With 2 to 16 writers two of them seldom want the
// same shard, and a walk over all shards still costs only microseconds.
const numShards = 64

// A shard is a part of the store: a mutex beside what it guards. Locks are held
// for as long as it takes to count a batch's calls in the shard or to sum a row,
// and never two at a time.
type shard struct {
	store *Store

	mu     sync.Mutex
	series map[uint64]*series // by hash; series of the same hash are linked
	rows   rowIndex           // this node's own
	parts  []*originPart      // this node's own first
	// newest and oldest end the list of series by revision.
	newest, oldest *series
	// read is the greatest revision that a reader of this shard holds as its cursor.
	// A series changed after it need not be marked again until somebody looks.
	read uint64
	// structure is the revision at which a series last came or went.
	structure uint64
	retired   counters // since they were last collected
	// summed is up to which slot of this node's rows a walk has added them up, 0 when none
	// is under way. What is retired of those is not to be added once more, and is put aside.
	summed int
	aside  counters
	ahead  uint64 // keeps the loads of fetch alive

	_ [64]byte // the next shard's mutex is on another cache line
}

// find returns the series of a key.
func (sh *shard) find(hash uint64, key []byte) *series {
	for s := sh.series[hash]; s != nil; s = s.same {
		if s.key == string(key) {
			return s
		}
	}
	return nil
}

// add makes the series of a key that is not there.
func (sh *shard) add(hash uint64, key []byte, p *profile) *series {
	s := &series{hash: hash, same: sh.series[hash], profile: p}
	s.setKey(string(key))
	sh.series[hash] = s
	sh.structure = sh.store.revision.Add(1)
	s.revision = sh.structure
	sh.link(s)
	return s
}

// touch says that a series has changed.
func (sh *shard) touch(s *series) {
	if s.revision > sh.read {
		return // nobody has seen the change before this one
	}
	s.revision = sh.store.revision.Add(1)
	if sh.newest == s {
		return
	}
	sh.unlink(s)
	sh.link(s)
}

func (sh *shard) link(s *series) {
	s.prev = sh.newest
	s.next = nil
	if s.prev != nil {
		s.prev.next = s
	} else {
		sh.oldest = s
	}
	sh.newest = s
}

func (sh *shard) unlink(s *series) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		sh.oldest = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		sh.newest = s.prev
	}
}

// removeRow takes a row out of its series, and the series out of the shard when
// it was the last.
func (sh *shard) removeRow(r *row) {
	s := r.series
	for i, other := range s.rows {
		if other == r {
			s.rows = append(s.rows[:i], s.rows[i+1:]...)
			break
		}
	}
	if r.origin == sh.local() {
		sh.rows.remove(s.hash, r)
		r.lifetime.Merge(&r.owed)
		sh.retire(r)
	}
	if len(s.rows) > 0 {
		sh.touch(s)
		return
	}
	if sh.series[s.hash] == s {
		if s.same == nil {
			delete(sh.series, s.hash)
		} else {
			sh.series[s.hash] = s.same
		}
	} else {
		for other := sh.series[s.hash]; other != nil; other = other.same {
			if other.same == s {
				other.same = s.same
				break
			}
		}
	}
	sh.unlink(s)
	s.gone = true
	sh.structure = sh.store.revision.Add(1)
	sh.store.seriesCount.Add(-1)
	s.profile.series.Add(-1)
}

// advance settles the shard up to a second of the store's clock.
func (sh *shard) advance(second int64) {
	changed := false
	for _, p := range sh.parts {
		if p.advance(second + p.skew.Load()) {
			changed = true
		}
	}
	if changed {
		sh.store.revision.Add(1)
	}
}

// local is the part of this node's own origin.
func (sh *shard) local() *originPart { return sh.parts[0] }
