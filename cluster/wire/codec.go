package wire

import (
	"encoding/binary"
	"errors"

	"remuda/store"
)

// ErrDamaged is the answer to bytes that are not what they should be.
var ErrDamaged = errors.New("damaged message")

// maxText is the longest string in a message, in bytes: the key of a series is the
// longest that there is.
const maxText = 1024

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendBytes(b, s []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// A reader takes values off the front of a message. After the first that is not
// there all are zero and bad is set, so callers may look once at the end. Strings
// and slices point into the message.
type reader struct {
	rest []byte
	bad  bool

	keyBefore string            // the last key of a series
	cells     []store.CellState // those of all rows, which have parts of it
}

func (r *reader) fail() {
	r.rest, r.bad = nil, true
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// upTo is an integer that may not be above max.
func (r *reader) upTo(limit uint64) uint64 {
	v := r.uint()
	if v > limit {
		r.fail()
		return 0
	}
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// millis is an instant or a length of time in ms, as far as the future goes.
func (r *reader) millis() int64 { return int64(r.upTo(1 << 53)) }

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v
}

func (r *reader) bool() bool { return r.enum(2) == 1 }

// enum is a byte below n.
func (r *reader) enum(n byte) byte {
	v := r.byte()
	if v >= n {
		r.fail()
		return 0
	}
	return v
}

func (r *reader) fixed64() uint64 {
	if len(r.rest) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return v
}

func (r *reader) bytes(limit int) []byte {
	n := r.uint()
	if n > uint64(limit) || n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	v := r.rest[:n:n]
	r.rest = r.rest[n:]
	return v
}

// end reports whether all was there and nothing is left.
func (r *reader) end() bool { return !r.bad && len(r.rest) == 0 }
