package cell

import "encoding/binary"

// A Log holds the packed cells of one tier of a row, oldest first, one after
// another in one slice: however many cells a row keeps, the collector sees one
// pointer. New cells go to the end, old ones leave at the front; only a late
// event or a peer's repair moves bytes in the middle.
//
// An entry is step (4 bytes), stamp (4), length of the packed cell and a bit that
// says whether it is the sum of finer cells (2), packed cell.
type Log struct {
	buf  []byte
	head int32 // offset of the oldest entry
	last int32 // offset of the newest; meaningless when empty

	// hints are offsets of entries where earlier searches ended, 0 when unset. What is
	// looked for are the starts of windows, which move forward a step at a time, so
	// the next search for each is short.
	hints [2]int32
}

// farSearch is how many entries a search may pass before it leaves a hint.
const farSearch = 12

const (
	entryHeader = 10
	sumBit      = 1 << 15
	maxPacked   = sumBit - 1 // bytes of a packed cell; the largest made here has some 30 KB
)

// An Entry is one packed cell in a log. Its bytes are valid until the log changes.
type Entry struct {
	Step   uint32
	Stamp  uint32
	Summed bool // of the finer cells of its step, as they were at the stamp
	Packed []byte
	Next   int32 // offset of the next entry
}

// Empty reports whether the log has no entry.
func (l *Log) Empty() bool { return int(l.head) == len(l.buf) }

// Begin is the offset of the oldest entry. From there, or from what Seek gives, a walk
// goes from each entry to its Next for as long as Holds says that there is one.
func (l *Log) Begin() int32 { return l.head }

// Holds reports whether an offset is not the end.
func (l *Log) Holds(offset int32) bool { return int(offset) < len(l.buf) }

// At is the entry at an offset.
func (l *Log) At(offset int32) Entry {
	b := l.buf[offset:]
	length := binary.LittleEndian.Uint16(b[8:])
	size := int32(length &^ sumBit)
	return Entry{
		Summed: length&sumBit != 0,
		Step:   binary.LittleEndian.Uint32(b),
		Stamp:  binary.LittleEndian.Uint32(b[4:]),
		Packed: b[entryHeader : entryHeader+size],
		Next:   offset + entryHeader + size,
	}
}

// Oldest returns the oldest entry.
func (l *Log) Oldest() (Entry, bool) {
	if l.Empty() {
		return Entry{}, false
	}
	return l.At(l.head), true
}

// Seek returns the offset of the oldest entry whose step is not below step; the
// end of the log when there is none.
func (l *Log) Seek(step uint32) int32 {
	if l.Empty() {
		return l.head
	}
	if last := l.At(l.last); step >= last.Step {
		if step == last.Step {
			return l.last
		}
		return last.Next
	}
	offset, used := l.head, -1
	for i, hint := range l.hints {
		if hint > offset && l.At(hint).Step <= step {
			offset, used = hint, i
		}
	}
	for passed := 0; ; passed++ {
		e := l.At(offset)
		if e.Step < step {
			offset = e.Next
			continue
		}
		switch {
		case passed <= farSearch && used >= 0:
			l.hints[used] = offset
		case passed > farSearch && used == 0:
			l.hints[1] = offset
		case passed > farSearch:
			l.hints[0] = offset
		}
		return offset
	}
}

// SeekFrom is seek for a step that is not below that of the entry at offset.
func (l *Log) SeekFrom(offset int32, step uint32) int32 {
	for int(offset) < len(l.buf) {
		e := l.At(offset)
		if e.Step >= step {
			break
		}
		offset = e.Next
	}
	return offset
}

// StepAt is the step of the entry at offset, -1 at the end.
func (l *Log) StepAt(offset int32) int64 {
	if int(offset) == len(l.buf) {
		return -1
	}
	return int64(binary.LittleEndian.Uint32(l.buf[offset:]))
}

// Find returns the entry of a step.
func (l *Log) Find(step uint32) (Entry, bool) {
	offset := l.Seek(step)
	if int(offset) == len(l.buf) {
		return Entry{}, false
	}
	e := l.At(offset)
	return e, e.Step == step
}

// Has reports whether there is an entry of a step.
func (l *Log) Has(step uint32) bool {
	_, ok := l.Find(step)
	return ok
}

// Put adds or replaces the cell of a step.
func (l *Log) Put(step, stamp uint32, summed bool, packed []byte) {
	offset := l.Seek(step)
	old := int32(0) // bytes that make room
	if int(offset) < len(l.buf) {
		if e := l.At(offset); e.Step == step {
			old = e.Next - offset
		}
	}
	size := int32(entryHeader + len(packed))
	offset -= l.makeRoom(int(size - old))
	tail := offset + old
	if int(tail) < len(l.buf) && size != old {
		l.hints = [2]int32{} // entries behind this one move
	}
	end := len(l.buf)
	l.buf = l.buf[:end+int(size-old)]
	copy(l.buf[offset+size:], l.buf[tail:end])
	b := l.buf[offset:]
	binary.LittleEndian.PutUint32(b, step)
	binary.LittleEndian.PutUint32(b[4:], stamp)
	length := uint16(len(packed))
	if summed {
		length |= sumBit
	}
	binary.LittleEndian.PutUint16(b[8:], length)
	copy(b[entryHeader:], packed)
	switch {
	case int(offset+size) == len(l.buf):
		l.last = offset
	default:
		l.last += size - old
	}
}

// DropBefore removes the cells of steps below step.
func (l *Log) DropBefore(step uint32) {
	l.head = l.Seek(step)
	for i := range l.hints {
		if l.hints[i] <= l.head {
			l.hints[i] = 0
		}
	}
	if l.Empty() {
		l.hints = [2]int32{}
		l.head = 0
		l.buf = l.buf[:0]
	}
}

// makeRoom makes the capacity hold n more bytes and returns by how much the
// entries moved to the front. Spare room is kept small, an eighth at most: there
// are very many logs.
func (l *Log) makeRoom(n int) (moved int32) {
	if n <= 0 || len(l.buf)+n <= cap(l.buf) {
		return 0
	}
	used := l.buf[l.head:]
	moved = l.head
	if len(used)+n+len(used)/8 <= cap(l.buf) {
		copy(l.buf, used)
		l.buf = l.buf[:len(used)]
	} else {
		grown := make([]byte, len(used), len(used)+n+max(24, len(used)/8))
		copy(grown, used)
		l.buf = grown
	}
	l.head = 0
	l.last -= moved
	for i := range l.hints {
		l.hints[i] = max(l.hints[i]-moved, 0)
	}
	return moved
}
