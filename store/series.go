package store

import (
	"encoding/binary"
	"math/bits"

	"remuda/store/cell"
	"remuda/store/ids"
)

// maxKey is the longest that a key can be.
const maxKey = keyDims*(ids.Max+1) + keyTail

// A series is one combination of dimensions. Its rows, one an origin, and its
// links are guarded by the mutex of its shard; key and ends never change.
type series struct {
	key  string          // the dimensions in keyOrder, each followed by a zero byte; those of a byte each
	ends [keyDims]uint16 // where each of the strings ends
	hash uint64          // of key, seeded
	mark uint64          // of key, the same on every node

	profile *profile

	same *series // next with the same hash
	rows []*row  // this node's own first, once there

	revision   uint64
	prev, next *series // by revision
	gone       bool    // no longer in the shard
}

// overflowKey is the key that counts instead of key once the cap is reached:
// without its method at level 1, with nothing but its profile, transport and
// request origin at level 2.
func overflowKey(key []byte, level int) []byte {
	var s series
	s.setKey(string(key))
	out := make([]byte, 0, len(key))
	for _, d := range keyOrder {
		part := s.dim(d)
		if level > dimensions[d].kept {
			part = ids.Other
		}
		out = append(append(out, part...), 0)
	}
	return append(out, key[len(key)-keyTail:]...)
}

func (s *series) setKey(key string) {
	s.key = key
	n := 0
	for i := range len(key) - keyTail {
		if key[i] == 0 {
			s.ends[n] = uint16(i)
			n++
		}
	}
	s.mark = portableHash(key)
}

// dim returns the value of a dimension of the series; NodeDim has none here.
func (s *series) dim(d Dim) string {
	if about := &dimensions[d]; about.in == keyString {
		begin := 0
		if about.at > 0 {
			begin = int(s.ends[about.at-1]) + 1
		}
		return s.key[begin:s.ends[about.at]]
	}
	switch d {
	case TransportDim:
		return s.transport().String()
	case RequestOriginDim:
		return RequestOrigin(s.tail(d)).String()
	}
	return ""
}

func (s *series) transport() Transport { return Transport(s.tail(TransportDim)) }

// tail is the byte of a dimension that is one.
func (s *series) tail(d Dim) byte { return s.key[len(s.key)-keyTail+dimensions[d].at] }

// digest is the share of a row in its origin's digest: the same on every node,
// whatever the clocks and whatever has aged out.
func (s *series) digest(c *cell.Sums) uint64 {
	h := s.mark
	for _, v := range c.Lifetime() {
		h = mix(h^v, 0x9e3779b97f4a7c15)
	}
	return h
}

// portableHash is a 64-bit hash that is the same in every process, for digests.
// It guards against accidents, not against a member who lies.
func portableHash(s string) uint64 {
	h := uint64(len(s)) * 0xa0761d6478bd642f
	for ; len(s) >= 8; s = s[8:] {
		h = mix(h^binary.LittleEndian.Uint64([]byte(s[:8])), 0xe7037ed1a0b428db)
	}
	var tail [8]byte
	copy(tail[:], s)
	return mix(h^binary.LittleEndian.Uint64(tail[:]), 0x8ebc6af09c88c6e3)
}

// mix folds the 128-bit product of two numbers.
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^0x2d358dccaa6c78a5, b)
	return high ^ low ^ a
}
