package store

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// The runs of nodes whose rows the store holds, this node's own among them.

// OriginID names one run of a node: the only writer of its rows.
type OriginID struct {
	Node        string
	Incarnation uint64
}

// rememberStart is the longest time (ms) before a run began that it can be told calls
// of: the longest window, its running step, and the rounding to steps.
const rememberStart = 3_720_000

// origin returns the one record of an origin that its parts share.
func (s *Store) origin(id OriginID) *origin {
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	o := s.origins[id]
	if o == nil {
		// Incarnations are, unless a clock went back, when a run began.
		o = &origin{name: id.Node, incarnation: id.Incarnation, began: int64(min(id.Incarnation, math.MaxInt64))}
		s.origins[id] = o
	}
	return o
}

// Digest is a sum over all that an origin ever reported: of a hash of each row's
// lifetime totals and of each latest value, as of the last tick or merge. Nodes
// that have merged the same states have the same digest, whatever their clocks say
// and whatever has aged out of windows.
func (s *Store) Digest(id OriginID) uint64 {
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	if o := s.origins[id]; o != nil {
		return o.digest.Load()
	}
	return 0
}

// Calibrate sets the digest of an origin of which not everything that ever was is
// here, because this node got to know it later.
func (s *Store) Calibrate(id OriginID, digest uint64) { s.origin(id).digest.Store(digest) }

// SetClock notes what an origin's clock says now (ms). Its cells are aged by that
// clock: whole seconds are enough, and differences that delays explain are ignored.
func (s *Store) SetClock(id OriginID, wall int64) {
	const trifle = 2000
	o := s.origin(id)
	ahead := wall - s.clock.now()
	if d := ahead - o.skew.Load()*1000; d > trifle || d < -trifle {
		skew := (ahead + 500) / 1000
		if ahead < 0 {
			skew = (ahead - 500) / 1000
		}
		if skew >= -1 && skew <= 1 {
			skew = 0
		}
		o.skew.Store(skew)
		s.skews.Add(1)
	}
}

// Skew is by how much an origin's clock is ahead of what time it is here, in whole
// seconds but for this node's own; 0 when it is less than delays can explain.
func (s *Store) Skew(id OriginID) time.Duration {
	skew := time.Duration(s.clock.behind.Load()) * time.Millisecond
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	if o := s.origins[id]; o != nil {
		skew += time.Duration(o.skew.Load()) * time.Second
	}
	return skew
}

// Origins lists the runs of nodes that the store holds anything of.
func (s *Store) Origins() []OriginID {
	s.originsMu.Lock()
	defer s.originsMu.Unlock()
	list := make([]OriginID, 0, len(s.origins))
	for id := range s.origins {
		list = append(list, id)
	}
	slices.SortFunc(list, func(a, b OriginID) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), cmp.Compare(a.Incarnation, b.Incarnation))
	})
	return list
}

// Sequence is the number of ticks that this node has closed.
func (s *Store) Sequence() uint64 { return s.sequence.Load() }
