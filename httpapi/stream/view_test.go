package stream

import (
	"testing"
)

// TestDeltasKept: as many as there may be while they are short, and never more bytes
// than a snapshot has, but for the newest.
func TestDeltasKept(t *testing.T) {
	for _, c := range []struct{ whole, each, kept int }{
		{600, 300, framesKept},
		{600, 600, leastKept / 600},
		{25_000, 25_000, leastKept / 25_000},
		{500_000, 25_000, 20},
		{100, 25_000, leastKept / 25_000}, // a snapshot that grew
		{6 << 20, 100_000, mostKept / 100_000},
		{6 << 20, 6 << 20, 1},
	} {
		v := view{whole: c.whole}
		for i := range 2 * framesKept {
			v.keep(&frame{sequence: uint64(i), data: make([]byte, c.each)})
		}
		held := 0
		for _, d := range v.deltas {
			held += len(d.data)
		}
		if len(v.deltas) != c.kept || held != v.held || v.deltas[len(v.deltas)-1].sequence != 2*framesKept-1 {
			t.Errorf("%+v: %d deltas are kept, %d bytes (%d by its own account)", c, len(v.deltas), held, v.held)
		}
	}
}
