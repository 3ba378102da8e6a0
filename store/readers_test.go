package store

import "remuda/store/cell"

// What the readers above the store say of one is wanted by tests in here, which cannot
// import them: readers_outside_test.go does, and sets these.
var (
	// Watch returns what looks for what is wrong, again and again.
	Watch func(s *Store) func(f Filter, w cell.Window, pause func()) (Meta, []Alarm)
	// Ranked returns whether providers of a chain are eligible, and the reasons.
	Ranked func(s *Store, chain string) map[string]RankedRow
)

// Alarm is what tests here look at of one.
type Alarm struct {
	Key, Rule, Severity string
	SinceAt             int64
}

// RankedRow is what tests here look at of a row.
type RankedRow struct {
	Eligible bool
	Reasons  []string
}
