package wire

import (
	"encoding/binary"

	"remuda/store"
	"remuda/store/cell"
)

// What is added to entryRow for a row that comes with its key, and for one whose
// lifetime is left out.
const (
	rowKeyed = 1 << iota
	rowEven
)

// A RowName is how a row names its series: by a number, once that is known.
type RowName struct {
	Number uint64 // 0: it has none
	Keyed  bool   // its key goes along
}

// AppendRow writes the entry of a row. For whoever has all that it builds on, the
// lifetime of an even row is left out, and so are its sums. An even row has its newest
// cell, whose stamp is the row's; another's stamp goes with the lifetime. before is the
// last key in the message, of which only the difference is told.
func AppendRow(b []byte, s *store.RowState, name RowName, before string, builds bool, h *Head) []byte {
	kind := byte(entryRow)
	if name.Keyed {
		kind |= rowKeyed
	}
	even := builds && s.Even
	if even {
		kind |= rowEven
	}
	b = binary.AppendUvarint(append(b, kind), name.Number)
	if name.Keyed {
		b = appendKey(b, s.Key, before)
		b = binary.AppendVarint(b, int64(h.Sequence-s.Born))
	}
	if !even {
		for _, v := range s.Lifetime {
			b = binary.AppendUvarint(b, v)
		}
		b = binary.AppendVarint(b, int64(h.Sequence-s.Stamp))
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

func appendCell(b []byte, c *store.CellState, builds bool, h *Head) []byte {
	first := byte(c.Tier)
	summed := builds && c.Summed
	if summed {
		first |= cellSummed
	}
	if c.Stamp == h.Sequence {
		first |= cellNow
	}
	back := h.Wall/1000/c.Tier.Seconds() - c.Step
	near := back >= 0 && back < cellFar
	if near {
		b = append(b, first|byte(back)<<cellStepBits)
	} else {
		b = append(b, first|cellFar<<cellStepBits)
		b = binary.AppendVarint(b, back)
	}
	if c.Stamp != h.Sequence {
		b = binary.AppendVarint(b, int64(h.Sequence-c.Stamp))
	}
	if summed {
		return b
	}
	return appendBytes(b, c.Packed)
}

func (r *reader) cell(h *Head) (c store.CellState) {
	first := r.byte()
	c.Tier = cell.Tier(first & 3)
	if c.Tier >= cell.NumTiers {
		r.fail()
		return c
	}
	c.Summed = first&cellSummed != 0
	back := int64(first >> cellStepBits)
	if back == cellFar {
		back = r.int()
	}
	c.Step = h.Wall/1000/c.Tier.Seconds() - back
	c.Stamp = h.Sequence
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

// row reads what AppendRow wrote after the kind. A row that came without its key has
// none until it is looked up by its number.
func (r *reader) row(kind byte, h *Head) (e RowEntry) {
	e.Number = r.uint()
	s := &e.State
	if kind&rowKeyed != 0 {
		s.Key = r.key()
		s.Born = h.Sequence - uint64(r.int())
	}
	if s.Even = kind&rowEven != 0; !s.Even {
		for i := range s.Lifetime {
			s.Lifetime[i] = r.uint()
		}
		s.Stamp = h.Sequence - uint64(r.int())
	}
	s.Since = h.After
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
