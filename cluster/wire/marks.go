package wire

import (
	"encoding/binary"

	"remuda/store"
)

// MaxOrigins bounds the runs in a list of marks, and those that a node knows: messages
// of more are ignored.
const MaxOrigins = 4096

// A Status is how much a member has of an origin.
type Status struct {
	ID          store.OriginID
	Mark, Ahead uint64 // everything stamped up to mark is there, and something stamped ahead
	Digest      uint64
	Verified    bool // digest is that of mark
}

// AppendMarks writes what a member has: the version, its name, and a status of every
// origin, its own run first.
func AppendMarks(b []byte, member string, list []Status) []byte {
	b = appendString(append(b, Version), member)
	for i := range list {
		b = appendStatus(b, &list[i])
	}
	return b
}

func appendStatus(b []byte, s *Status) []byte {
	b = appendString(b, s.ID.Node)
	b = binary.AppendUvarint(b, s.ID.Incarnation)
	b = binary.AppendUvarint(b, s.Mark)
	b = binary.AppendUvarint(b, s.Ahead)
	b = binary.LittleEndian.AppendUint64(b, s.Digest)
	return appendBool(b, s.Verified)
}

// ReadMarks reads what AppendMarks wrote.
func ReadMarks(b []byte) (member string, list []Status, err error) {
	r := reader{rest: b}
	if r.byte() != Version {
		r.fail()
	}
	member = r.id()
	for len(r.rest) > 0 && len(list) < MaxOrigins {
		list = append(list, r.status())
	}
	if !r.end() {
		return "", nil, ErrDamaged
	}
	return member, list, nil
}

func (r *reader) status() (s Status) {
	s.ID = store.OriginID{Node: r.id(), Incarnation: r.upTo(1 << 53)}
	s.Mark, s.Ahead = r.upTo(maxSequence), r.upTo(maxSequence)
	s.Digest = r.fixed64()
	s.Verified = r.bool()
	return s
}
