package store

import (
	"testing"
	"time"

	"remuda/store/cell"
)

// TestUneven is the worked example of row: after which ticks the lifetime can be told from
// what the cells of 1 s grew.
func TestUneven(t *testing.T) {
	p := newPair(t)
	count := func(n int, age time.Duration) {
		for range n {
			p.count(p.now[0].Add(-age), "c")
		}
	}
	want := func(when string, even ...bool) {
		t.Helper()
		for after, want := range even {
			seen := false
			p.a.Changed(p.id, uint64(after), AllTiers, func(s *RowState) bool {
				seen = true
				if s.Even != want || s.Since != uint64(after) {
					t.Errorf("%s, what changed after %d is even: %v, since %d", when, after, s.Even, s.Since)
				}
				return true
			})
			if !seen {
				t.Errorf("%s, nothing changed after %d", when, after)
			}
		}
	}
	count(3, 0)
	p.a.Tick()
	count(2, 0)
	p.a.Tick()
	want("in one second", true, true)
	p.pass(2 * time.Second)
	count(1, 90*time.Second)
	p.a.Tick()
	want("after a late call", false, false, false)
	count(1, 0)
	p.a.Tick()
	want("when that is told", false, false, false, true)

	p = newPair(t)
	count(1, 0)
	p.a.Tick()
	p.pass(time.Second)
	count(1, 0)
	p.a.Tick()
	want("at first", true, true)
	p.pass(time.Duration(cell.Tier1s.Kept()) * time.Second)
	p.a.Tick()
	want("with the second cell dropped", false, false)
}
