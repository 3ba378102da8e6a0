// Package wire is what members say to each other, to the byte: heads and entries of
// deltas, marks, states, and the chunks that carry them; docs/wire.md is its
// specification. It is pure: values in, bytes out and back. Nothing here sends, waits,
// locks or knows the time, and whatever it reads may come from anybody.
package wire

import (
	"encoding/binary"

	"remuda/store"
)

// Version is that of all messages. Those of another are not read.
const Version = 2

// maxSequence is the greatest number of a sequence: 60 years of ticks.
const maxSequence = 1<<32 - 1

// What the flags of a delta say.
const (
	flagWhole = 1 << iota // with all parts, everything stamped after `after` follows
)

// MaxParts is how many user events a sequence may be spread over.
const MaxParts = 4

// A Head announces a sequence of an origin. Every part of a delta begins with it: a
// delta is what one user event carries, the head of a sequence and, as far as there is
// room, what has changed in it.
type Head struct {
	ID       store.OriginID
	Sequence uint64
	After    uint64 // what follows builds on this sequence
	Wall     int64  // of the origin's clock, ms
	Behind   int64  // by how many ms its wall clock is behind that
	Digest   uint64 // of the origin, when the sequence was closed
	Whole    bool   // what has changed follows, and not only latest values
	Part     int    // from 0
	Parts    int
}

// Append writes the head.
func (h *Head) Append(b []byte) []byte {
	flags := byte(0)
	if h.Whole {
		flags |= flagWhole
	}
	b = append(b, Version, flags, byte(h.Part)<<4|byte(h.Parts))
	b = appendString(b, h.ID.Node)
	b = binary.AppendUvarint(b, h.ID.Incarnation)
	b = binary.AppendUvarint(b, h.Sequence)
	b = binary.AppendUvarint(b, h.Sequence-h.After)
	b = binary.AppendUvarint(b, uint64(h.Wall))
	b = binary.AppendUvarint(b, uint64(h.Behind))
	return binary.LittleEndian.AppendUint64(b, h.Digest)
}

// Size is how many bytes the head takes.
func (h *Head) Size() int { return len(h.Append(make([]byte, 0, 256))) }

// ReadHead reads the head that a delta begins with.
func ReadHead(message []byte) (Head, error) {
	r := reader{rest: message}
	h := r.head()
	if r.bad {
		return Head{}, ErrDamaged
	}
	return h, nil
}

// ReadDelta reads a user event. One that is damaged, or of another version, is an error,
// and nothing of it is used.
func ReadDelta(message []byte) (h Head, e Entries, err error) {
	r := reader{rest: message}
	h = r.head()
	if r.bad {
		return Head{}, Entries{}, ErrDamaged
	}
	if e = r.entries(&h); !r.end() {
		return Head{}, Entries{}, ErrDamaged
	}
	return h, e, nil
}

func (r *reader) head() (h Head) {
	if r.byte() != Version {
		r.fail()
		return h
	}
	h.Whole = r.enum(flagWhole+1) == flagWhole
	of := r.byte()
	h.Part, h.Parts = int(of>>4), int(of&15)
	h.ID.Node = r.id()
	h.ID.Incarnation = r.upTo(1 << 53)
	h.Sequence = r.upTo(maxSequence)
	h.After = h.Sequence - r.upTo(h.Sequence)
	h.Wall = r.millis()
	h.Behind = r.millis()
	h.Digest = r.fixed64()
	if h.Parts < 1 || h.Parts > MaxParts || h.Part >= h.Parts || h.Sequence == 0 || h.ID.Incarnation == 0 {
		r.fail()
	}
	return h
}
