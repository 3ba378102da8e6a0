package store

// rowIndex finds this node's own rows by the hash of their key: an open-addressed
// table, because the lookup is on the way of every call and a hash is at hand. It
// is guarded by the mutex of its shard.
type rowIndex struct {
	slots []rowSlot // a power of two of them
	used  int       // rows and the graves of removed ones
}

type rowSlot struct {
	hash uint64
	row  *row // nil: empty, or a grave when hash is not 0
}

// find returns the row of a key, nil when there is none.
func (x *rowIndex) find(hash uint64, key []byte) *row {
	if len(x.slots) == 0 {
		return nil
	}
	mask := uint64(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.row == nil {
			if s.hash == 0 {
				return nil
			}
			continue
		}
		if s.hash == hash && s.row.key == string(key) {
			return s.row
		}
	}
}

// guess returns the row that find is likely to return.
func (x *rowIndex) guess(hash uint64) *row {
	if len(x.slots) == 0 {
		return nil
	}
	return x.slots[hash&uint64(len(x.slots)-1)].row
}

// add puts in a row that is not there.
func (x *rowIndex) add(hash uint64, r *row) {
	if (x.used+1)*4 > len(x.slots)*3 {
		x.rebuild()
	}
	mask := uint64(len(x.slots) - 1)
	i := hash & mask
	for x.slots[i].row != nil {
		i = (i + 1) & mask
	}
	if x.slots[i].hash == 0 {
		x.used++
	}
	x.slots[i] = rowSlot{hash, r}
}

func (x *rowIndex) remove(hash uint64, r *row) {
	mask := uint64(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.row == r {
			s.row = nil
			s.hash = 1 // whatever is behind it must still be found
			return
		}
		if s.row == nil && s.hash == 0 {
			return
		}
	}
}

// rebuild makes room and drops the graves.
func (x *rowIndex) rebuild() {
	rows := 0
	for i := range x.slots {
		if x.slots[i].row != nil {
			rows++
		}
	}
	size := 16
	for size < 2*(rows+1) {
		size *= 2
	}
	before := x.slots
	x.slots, x.used = make([]rowSlot, size), 0
	for _, s := range before {
		if s.row != nil {
			x.add(s.hash, s.row)
		}
	}
}
