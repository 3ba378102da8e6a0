package cluster

import (
	"encoding/binary"
	"strings"
	"sync"

	"remuda/store"
)

// A delta is what one user event carries: the head of a sequence and, as far as
// there is room, what has changed in it. docs/wire.md describes its bytes.
const wireVersion = 2

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
	behind   int64  // by how many ms its wall clock is behind that
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
	b = binary.AppendUvarint(b, uint64(h.behind))
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
	h.behind = r.millis()
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
	mu     sync.Mutex
	next   uint64
	byKey  map[numberedRow]*rowNumber
	forgot uint64 // sequence in which unused numbers were last looked for
}

// numberedRow is a row: when a series comes back after it aged out, it is another.
type numberedRow struct {
	key  string
	born uint64
}

type rowNumber struct {
	number  uint64
	given   uint64 // stamp of the row when it got the number: who has that knows it
	told    uint64 // sequence in which a delta first told the key, 0 when none did
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
func (n *rowNumbers) name(s *store.RowState, sequence uint64, thrifty bool) rowName {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.number(s, sequence)
	if known == nil {
		return rowName{0, true}
	}
	if known.told == 0 {
		known.told = sequence
	}
	again := uint64(tellFor)
	if thrifty {
		again = 1
	}
	return rowName{known.number, sequence < known.told+again}
}

// number is that of a row, a new one if it has none; nil when there are no more, so
// that receivers, who keep twice as many, do not lose those of others.
func (n *rowNumbers) number(s *store.RowState, sequence uint64) *rowNumber {
	if n.byKey == nil {
		n.byKey = make(map[numberedRow]*rowNumber)
	}
	row := numberedRow{s.Key, s.Born}
	known := n.byKey[row]
	if known == nil {
		if len(n.byKey) >= maxNumbers && n.forgot < sequence { // once for all the rows of a sequence
			n.forgot = sequence
			n.forget(sequence)
		}
		if len(n.byKey) >= maxNumbers {
			return nil
		}
		n.next++
		known = &rowNumber{number: n.next, given: s.Stamp}
		row.key = strings.Clone(s.Key)
		n.byKey[row] = known
	}
	known.lastUse = sequence
	return known
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

// answerName is what a row is called in an answer to who has all up to a sequence.
func (n *rowNumbers) answerName(s *store.RowState, sequence, after uint64) rowName {
	if n == nil {
		return rowName{0, true}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.number(s, sequence)
	if known == nil {
		return rowName{0, true}
	}
	return rowName{known.number, known.given > after}
}

// A row names its series by a number, once that is known.
type rowName struct {
	number uint64 // 0: it has none
	keyed  bool   // its key goes along
}

// appendRow writes the entry of a row. For whoever has all that it builds on, the
// lifetime of an even row is left out, and so are its sums. An even row has its newest
// cell, whose stamp is the row's; another's stamp goes with the lifetime. before is the
// last key in the message, of which only the difference is told.
func appendRow(b []byte, s *store.RowState, name rowName, before string, builds bool, h *head) []byte {
	kind := byte(entryRow)
	if name.keyed {
		kind |= rowKeyed
	}
	even := builds && s.Even
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
		b = binary.AppendVarint(b, int64(h.sequence-s.Stamp))
	}
	b = binary.AppendUvarint(b, uint64(len(s.Cells)))
	for i := range s.Cells {
		b = appendCell(b, &s.Cells[i], even, h)
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

// A cell begins with a byte: tier in two bits, then whether it is a sum that the
// receiver makes, whether its stamp is the sequence, and by how many steps it is
// before the running one, 15 for more, which then follow.
const (
	cellSummed   = 1 << 2
	cellNow      = 1 << 3
	cellStepBits = 4
	cellFar      = 15
)

func appendCell(b []byte, c *store.CellState, builds bool, h *head) []byte {
	first := byte(c.Tier)
	summed := builds && c.Summed
	if summed {
		first |= cellSummed
	}
	if c.Stamp == h.sequence {
		first |= cellNow
	}
	back := h.wall/1000/store.TierSeconds(c.Tier) - c.Step
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
	if c.Tier >= store.NumTiers {
		r.fail()
		return c
	}
	c.Summed = first&cellSummed != 0
	back := int64(first >> cellStepBits)
	if back == cellFar {
		back = r.int()
	}
	c.Step = h.wall/1000/store.TierSeconds(c.Tier) - back
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

// row reads what appendRow wrote after the kind. A row that came without its key has
// none until it is looked up by its number.
func (r *reader) row(kind byte, h *head) (e rowEntry) {
	e.number = r.uint()
	s := &e.state
	if kind&rowKeyed != 0 {
		s.Key = r.key()
		s.Born = h.sequence - uint64(r.int())
	}
	if s.Even = kind&rowEven != 0; !s.Even {
		for i := range s.Lifetime {
			s.Lifetime[i] = r.uint()
		}
		s.Stamp = h.sequence - uint64(r.int())
	}
	s.Since = h.after
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
	return e
}

// knownRows are the rows of an origin by number.
type knownRows struct{ byNumber map[uint64]numberedRow }

// resolve gives a row that came without its key the one of its number, and learns
// from others. It reports false when the number is not known.
func (k *knownRows) resolve(e *rowEntry) bool {
	if e.state.Key == "" {
		row, ok := k.byNumber[e.number]
		e.state.Key, e.state.Born = row.key, row.born
		return ok
	}
	if e.number > 0 {
		k.put(e.number, numberedRow{e.state.Key, e.state.Born})
	}
	return true
}

func (k *knownRows) put(number uint64, row numberedRow) {
	if k.byNumber == nil || len(k.byNumber) >= 2*maxNumbers {
		k.byNumber = make(map[uint64]numberedRow) // what is still in use comes again with a pull
	}
	k.byNumber[number] = row
}
