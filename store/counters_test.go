package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"remuda/store/ids"
)

// TestCountersBounded: what aged out is kept apart for so many keys, then added up; a
// key that lives is never part of that, whatever of it has aged out, and the sum is
// always what was accepted.
func TestCountersBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{MaxSeries: 2 * maxRetired})
		if err != nil {
			t.Fatal(err)
		}
		accepted := uint64(0)
		apply := func(provider, method string) {
			s.Apply([]Event{{Profile: "default", Chain: "c", ProviderID: provider, Method: method, Strategy: "s", SourceRegion: "r", Weight: 1}})
			accepted++
		}
		const lives = "lives"
		kept := uint64(0) // calls of the one that lives
		for round := range 4 {
			for i := range maxRetired/2 + 100 {
				apply(fmt.Sprintf("p%d.%d", round, i), "m")
			}
			for i := range 100 { // in every shard
				apply(lives, fmt.Sprintf("m%d.%d", round, i))
				kept++
			}
			for range 3 {
				time.Sleep(30 * time.Minute)
				apply(lives, "always")
				kept++
				s.Tick()
			}
			sum, other, found := uint64(0), uint64(0), false
			rows := s.Counters()
			if !slices.IsSortedFunc(rows, func(a, b CounterRow) int { return strings.Compare(a.ProviderID, b.ProviderID) }) {
				t.Errorf("round %d: not in order", round)
			}
			for _, row := range rows {
				sum += row.Calls
				switch row.ProviderID {
				case lives:
					found = true
					if row.Calls != kept || !row.Living {
						t.Errorf("round %d: of the one that lives %d calls, living %v, want %d", round, row.Calls, row.Living, kept)
					}
				case ids.Other:
					other = row.Calls
				}
			}
			if sum != accepted || !found {
				t.Errorf("round %d: the rows add up to %d of %d", round, sum, accepted)
			}
			if len(rows) > maxRetired+1 || len(rows) < maxRetired/2 && round < 1 {
				t.Errorf("round %d: %d rows", round, len(rows))
			}
			if (other > 0) != (round > 0) {
				t.Errorf("round %d: %d calls added up", round, other)
			}
		}
	})
}
