package store

import (
	"testing"

	"remuda/store/cell"
	"remuda/store/internal/leaf"
)

// TestDigest: the digest tells every figure, and each from all others.
func TestDigest(t *testing.T) {
	s := series{mark: 7}
	numbered := func() *cell.Sums { // every figure is another
		c := new(cell.Sums)
		for i, l := range leaf.All(c) {
			l.SetUint(10 + uint64(i))
		}
		return c
	}
	for i := range leaf.All(new(cell.Sums)) {
		c := numbered()
		l := leaf.All(c)[i]
		if l.Change(); s.digest(c) == s.digest(numbered()) {
			t.Errorf("the digest does not tell %s", l.Path)
		}
		for j := range i {
			c := numbered()
			a, b := leaf.All(c)[i], leaf.All(c)[j]
			x, y := a.Uint(), b.Uint()
			a.SetUint(y)
			b.SetUint(x)
			if s.digest(c) == s.digest(numbered()) {
				t.Errorf("the digest does not tell %s from %s", a.Path, b.Path)
			}
		}
	}
}
