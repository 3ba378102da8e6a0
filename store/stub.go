package store

import (
	"errors"
	"time"
)

// Options configure a store; the zero value of each takes its default.
type Options struct {
	Node                string           // name of this node; default "node"
	Region              string           // this node's region; default "local"
	Incarnation         uint64           // this run of the node; default: the start in unix ms
	MaxSeries           int              // default 100,000
	MaxSeriesPerProfile int              // default: MaxSeries
	MaxLatestValues     int              // default 100,000
	DedupBytes          int64            // default 64 MiB
	Now                 func() time.Time // default time.Now; tests inject their own
}

// Store ...
type Store struct{}

var errStub = errors.New("stub")

func New(o Options) (*Store, error) { return nil, errStub }

// Node, Region and Incarnation of this run.
func (s *Store) Node() string        { return "" }
func (s *Store) Region() string      { return "" }
func (s *Store) Incarnation() uint64 { return 0 }

// Now is the store's clock, in ms since the epoch. Safe for concurrent use (as all methods of Store are).
func (s *Store) Now() int64 { return 0 }

// Apply deduplicates and counts validated events, all or those that the caps allow, and
// returns what became of them: Accepted, Duplicates, Rejected (with Refusals whose Index is the
// index into events and Line is 0; the only code here is too_many_series).
// The events and their strings may be reused when it has returned. No allocation in steady state.
func (s *Store) Apply(events []Event) Receipt { return Receipt{} }

// Admit reports whether Apply would take the event now, as far as caps are concerned ("" = yes, or the code
// too_many_series): for all-or-nothing batches.
func (s *Store) Admit(e *Event) bool { return true }

// Tick closes a sequence: packs and stamps what changed, folds closed steps into coarser cells,
// drops what has aged out. One caller at a time, every 500 ms.
func (s *Store) Tick() {}

// Revision grows with every change, expiry included: equal revisions mean equal answers (ages aside).
// It costs next to nothing when no step has ended since the last call.
func (s *Store) Revision() uint64 { return 0 }

// Meta for a query over the window.
func (s *Store) Meta(profiles []string, w Window) Meta { return Meta{} }

// Table is the current result of one query, kept up to date at the cost of what changed.
// Not safe for concurrent use.
type Table struct{}

func (s *Store) NewTable(q Query) *Table { return nil }

// Refresh brings the table up to date and returns the rows that differ from the previous Refresh
// (all rows the first time) and the keys that are gone. Both slices are valid until the next Refresh; the rows
// themselves are immutable for ever. LastSeenAt alone is a change; ScopeCalls is too.
func (t *Table) Refresh() (changed []*Row, removed []string) { return nil, nil }

// Rows are all rows as of the last Refresh, by key.
func (t *Table) Rows() []*Row { return nil }

// Meta as of the last Refresh.
func (t *Table) Meta() Meta { return Meta{} }

// Series: step is rounded up to what is kept; the step used is returned.
func (s *Store) Series(q Query, step time.Duration) ([]SeriesGroup, time.Duration) { return nil, 0 }
func (s *Store) Histogram(q Query, step time.Duration) ([]HistogramGroup, time.Duration) {
	return nil, 0
}
func (s *Store) Rank(q RankQuery) []RankRow { return nil }

// Latest values by key; filters apply to the dimensions a report has (NodeDim: the node that received it).
func (s *Store) Circuits(f Filter) []CircuitReport       { return nil }
func (s *Store) Blocks(f Filter) []BlockReport           { return nil }
func (s *Store) Healths(f Filter) []HealthReport         { return nil }
func (s *Store) CircuitChanges(f Filter) []CircuitChange { return nil } // newest first
func (s *Store) Senders(f Filter) []Sender               { return nil }
func (s *Store) Decisions(q DecisionQuery) Decisions     { return Decisions{} }
func (s *Store) Profiles() []string                      { return nil } // known ones, sorted
func (s *Store) Members() []Member                       { return nil } // origins known to the store; this node first
func (s *Store) Usage() Usage                            { return Usage{} }
func (s *Store) Counters() []CounterRow                  { return nil }
