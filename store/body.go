package store

import "remuda/store/dedup"

// A Body is what Apply knows of a body whose parts are applied one after the other: the
// n-th of equal decisions in it is an event of its own, so that the items of a batch of
// calls all count, and is the n-th again when the body is repeated. The zero value is
// ready. It belongs to one goroutine.
type Body struct {
	number uint64 // of all bodies of the store; 0 until its first part is applied
	equal  dedup.Body
	fresh  map[valueKey]struct{} // latest values that were admitted, see Store.Admit
}

// Reset prepares for another body.
func (y *Body) Reset() {
	y.equal.Reset()
	y.number, y.fresh = 0, nil
}

// numbered returns the number of a body, the next when it has none; y may be nil.
func (s *Store) numbered(y *Body) uint64 {
	if y == nil {
		return s.bodies.Add(1)
	}
	if y.number == 0 {
		y.number = s.bodies.Add(1)
	}
	return y.number
}
