package cluster

import (
	"encoding/binary"
	"strings"
	"sync"

	"remuda/store"
)

// A delta is what one user event carries: the head of a sequence and, as far as
// there is room, what has changed in it. docs/wire.md describes its bytes.
const wireVersion = 1

// maxSequence is the greatest number of a sequence: 60 years of ticks.
const maxSequence = 1<<32 - 1

// What the flags of a delta say.
const (
	flagRows = 1 << iota // rows and notes follow: with all parts, everything stamped after `after`
)

// maxParts is how many user events a sequence may be spread over.
const maxParts = 4

// A head announces a sequence of an origin. Every part of a delta begins with it.
type head struct {
	id       store.OriginID
	sequence uint64
	after    uint64 // what follows builds on this sequence
	wall     int64  // of the origin's clock, ms
	digest   uint64 // of the origin, when the sequence was closed
	rows     bool   // what has changed follows, and not only latest values
	part     int    // from 0
	parts    int
}

func (h *head) append(b []byte) []byte {
	flags := byte(0)
	if h.rows {
		flags |= flagRows
	}
	b = append(b, wireVersion, flags, byte(h.part)<<4|byte(h.parts))
	b = appendString(b, h.id.Node)
	b = binary.AppendUvarint(b, h.id.Incarnation)
	b = binary.AppendUvarint(b, h.sequence)
	b = binary.AppendUvarint(b, h.sequence-h.after)
	b = binary.AppendUvarint(b, uint64(h.wall))
	return binary.LittleEndian.AppendUint64(b, h.digest)
}

// size is how many bytes the head takes.
func (h *head) size() int { return len(h.append(make([]byte, 0, 256))) }

func (r *reader) head() (h head, version byte) {
	version = r.byte()
	if version != wireVersion {
		r.fail()
		return h, version
	}
	h.rows = r.enum(flagRows+1) == flagRows
	of := r.byte()
	h.part, h.parts = int(of>>4), int(of&15)
	h.id.Node = r.id()
	h.id.Incarnation = r.upTo(1 << 53)
	h.sequence = r.upTo(maxSequence)
	h.after = h.sequence - r.upTo(h.sequence)
	h.wall = r.millis()
	h.digest = r.fixed64()
	if h.parts < 1 || h.parts > maxParts || h.part >= h.parts || h.sequence == 0 || h.id.Incarnation == 0 {
		r.fail()
	}
	return h, version
}

// What is added to entryRow for a row that comes with its key, and for one whose
// lifetime is left out.
const (
	rowKeyed = 1 << iota
	rowEven
)

// A row in a delta names its series by a number that its origin gave it, once the
// key has been told a few times. rowNumbers are the numbers that were given.
// They are safe for concurrent use.
type rowNumbers struct {
	mu    sync.Mutex
	next  uint64
	byKey map[numberedRow]*rowNumber
}

// numberedRow is a row: when a series comes back after it aged out, it is another.
type numberedRow struct {
	key  string
	born uint64
}

type rowNumber struct {
	number  uint64
	told    uint64 // sequence in which the key was first told
	lastUse uint64
}

// A number goes with its key for tellFor sequences as far as there is room, so that
// who misses one event still learns it. maxNumbers bounds the numbers kept; rows beyond keep their key.
const (
	tellFor    = 3
	maxNumbers = 4096
)

// name is what a row is called in a delta. thrifty leaves out keys that were told
// once.
func (n *rowNumbers) name(key string, born, sequence uint64, thrifty bool) rowName {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byKey == nil {
		n.byKey = make(map[numberedRow]*rowNumber)
	}
	row := numberedRow{key, born}
	known := n.byKey[row]
	if known == nil {
		if len(n.byKey) >= maxNumbers {
			n.forget(sequence)
		}
		n.next++
		known = &rowNumber{number: n.next, told: sequence}
		row.key = strings.Clone(key)
		if len(n.byKey) < maxNumbers {
			n.byKey[row] = known
		}
	}
	known.lastUse = sequence
	again := uint64(tellFor)
	if thrifty {
		again = 1
	}
	return rowName{known.number, sequence < known.told+again}
}

// forget drops the numbers that were not used lately. They are not given again.
func (n *rowNumbers) forget(sequence uint64) {
	const lately = 7200
	for row, known := range n.byKey {
		if known.lastUse+lately < sequence {
			delete(n.byKey, row)
		}
	}
}

// fullName is what a row is called where the receiver may know nothing.
func (n *rowNumbers) fullName(key string, born uint64) rowName {
	if n == nil {
		return rowName{0, true}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if known := n.byKey[numberedRow{key, born}]; known != nil {
		return rowName{known.number, true}
	}
	return rowName{0, true}
}

// A row names its series by a number, once that is known.
type rowName struct {
	number uint64 // 0: it has none
	keyed  bool   // its key goes along
}

// appendRow writes the entry of a row. Inline, an even row's lifetime is left out,
// and so are sums: the receiver has what they are made of. before is the last key in
// the message, of which only the difference is told.
func appendRow(b []byte, s *store.RowState, name rowName, before string, inline bool, h *head) []byte {
	kind := byte(entryRow)
	if name.keyed {
		kind |= rowKeyed
	}
	even := inline && s.Even
	if even {
		kind |= rowEven
	}
	b = binary.AppendUvarint(append(b, kind), name.number)
	if name.keyed {
		b = appendKey(b, s.Key, before)
		b = binary.AppendVarint(b, int64(h.sequence-s.Born))
	}
	if !even {
		for _, v := range s.Lifetime {
			b = binary.AppendUvarint(b, v)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.Cells)))
	for i := range s.Cells {
		b = appendCell(b, &s.Cells[i], inline, h)
	}
	return b
}

// appendKey writes how many bytes a key shares with another at its begin and at its
// end, and those between.
func appendKey(b []byte, key, other string) []byte {
	begin, end, most := 0, 0, min(len(key), len(other))
	for begin < most && key[begin] == other[begin] {
		begin++
	}
	for end < most-begin && key[len(key)-1-end] == other[len(other)-1-end] {
		end++
	}
	b = binary.AppendUvarint(b, uint64(begin))
	b = binary.AppendUvarint(b, uint64(end))
	return appendString(b, key[begin:len(key)-end])
}

// key reads a key; the one before is in the reader.
func (r *reader) key() string {
	begin := r.upTo(uint64(len(r.keyBefore)))
	end := r.upTo(uint64(len(r.keyBefore)) - begin)
	between := r.bytes(maxText)
	if r.bad || int(begin+end)+len(between) > maxText {
		r.fail()
		return ""
	}
	r.keyBefore = r.keyBefore[:begin] + string(between) + r.keyBefore[len(r.keyBefore)-int(end):]
	return r.keyBefore
}

// tierLength is the length of a step of a tier in seconds.
var tierLength = [3]int64{1, 10, 60}

// A cell begins with a byte: tier in two bits, then whether it is a sum that the
// receiver makes, whether its stamp is the sequence, and by how many steps it is
// before the running one, 15 for more, which then follow.
const (
	cellSummed   = 1 << 2
	cellNow      = 1 << 3
	cellStepBits = 4
	cellFar      = 15
)

func appendCell(b []byte, c *store.CellState, inline bool, h *head) []byte {
	first := byte(c.Tier)
	summed := inline && c.Summed
	if summed {
		first |= cellSummed
	}
	if c.Stamp == h.sequence {
		first |= cellNow
	}
	back := h.wall/1000/tierLength[c.Tier] - c.Step
	near := back >= 0 && back < cellFar
	if near {
		b = append(b, first|byte(back)<<cellStepBits)
	} else {
		b = append(b, first|cellFar<<cellStepBits)
		b = binary.AppendVarint(b, back)
	}
	if c.Stamp != h.sequence {
		b = binary.AppendVarint(b, int64(h.sequence-c.Stamp))
	}
	if summed {
		return b
	}
	return appendBytes(b, c.Packed)
}

func (r *reader) cell(h *head) (c store.CellState) {
	first := r.byte()
	c.Tier = int(first & 3)
	if c.Tier >= len(tierLength) {
		r.fail()
		return c
	}
	c.Summed = first&cellSummed != 0
	back := int64(first >> cellStepBits)
	if back == cellFar {
		back = r.int()
	}
	c.Step = h.wall/1000/tierLength[c.Tier] - back
	c.Stamp = h.sequence
	if first&cellNow == 0 {
		c.Stamp -= uint64(r.int())
	}
	if !c.Summed {
		c.Packed = r.bytes(1 << 15)
	}
	return c
}

// maxCells bounds the cells of a row in a message: all that a store keeps of one.
const maxCells = 400

// row reads what appendRow wrote after the kind. known is false for a row of a
// number that rows does not have; it learns from those that come with their key.
func (r *reader) row(kind byte, h *head, rows *knownRows) (e rowEntry, known bool) {
	e.number = r.uint()
	row, known := rows.get(e.number)
	if kind&rowKeyed != 0 {
		row.key = r.key()
		row.born = h.sequence - uint64(r.int())
		known = true
		if e.number > 0 && !r.bad {
			rows.put(e.number, row)
		}
	}
	s := &e.state
	s.Key, s.Born = row.key, row.born
	if s.Even = kind&rowEven != 0; !s.Even {
		for i := range s.Lifetime {
			s.Lifetime[i] = r.uint()
		}
	}
	begin := len(r.cells)
	for range r.upTo(maxCells) {
		if r.bad {
			break
		}
		c := r.cell(h)
		s.Stamp = max(s.Stamp, c.Stamp)
		r.cells = append(r.cells, c)
	}
	s.Cells = r.cells[begin:len(r.cells):len(r.cells)]
	return e, known
}

// knownRows are the rows of an origin by number.
type knownRows struct{ byNumber map[uint64]numberedRow }

func (k *knownRows) get(number uint64) (numberedRow, bool) {
	row, ok := k.byNumber[number]
	return row, ok
}

func (k *knownRows) put(number uint64, row numberedRow) {
	if k.byNumber == nil || len(k.byNumber) >= 2*maxNumbers {
		k.byNumber = make(map[uint64]numberedRow) // what is still in use comes again with a pull
	}
	k.byNumber[number] = row
}
