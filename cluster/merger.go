package cluster

import (
	"errors"
	"slices"
	"sync"

	"remuda/cluster/rules"
	"remuda/cluster/wire"
	"remuda/store"
)

// A merger puts what came of one run into the store: a delta and a pull of it at the same
// time, if so. It is safe for concurrent use, and holds nothing but a shard of the store,
// for a row.
type merger struct {
	store *store.Store
	id    store.OriginID
	rows  knownRows
}

// merge puts entries into the store. complete says that what they build on is here;
// otherwise rows that need it are left out.
func (m *merger) merge(e *wire.Entries, complete bool) rules.Outcome {
	o := rules.Outcome{Whole: true}
	if newest := e.Notes.Newest(); newest > 0 || e.Notes.Len() > 0 {
		o.Refused = m.store.MergeNotes(m.id, &e.Notes) != nil
		o.Ahead = newest
	}
	for i := range e.Rows {
		s := &e.Rows[i].State
		if !m.rows.resolve(&e.Rows[i]) || !complete && derived(s) {
			o.Whole = false
			continue
		}
		switch err := m.store.Merge(m.id, s); {
		case err == nil:
			o.Ahead = max(o.Ahead, s.Stamp)
		case errors.Is(err, store.ErrNoRoom):
			o.Refused, o.Ahead = true, max(o.Ahead, s.Stamp)
		default:
			o.Whole = false
		}
	}
	return o
}

// derived reports whether something of a row was left out, for the receiver to work
// out from what it has.
func derived(s *store.RowState) bool {
	return s.Even || slices.ContainsFunc(s.Cells, func(c store.CellState) bool { return c.Summed })
}

// knownRows are the rows of a run by the numbers that it gave them.
type knownRows struct {
	mu       sync.Mutex // held for a look-up
	byNumber map[uint64]numberedRow
}

// resolve gives a row that came without its key the one of its number, and learns
// from others. It reports false when the number is not known.
func (k *knownRows) resolve(e *wire.RowEntry) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.State.Key == "" {
		row, ok := k.byNumber[e.Number]
		e.State.Key, e.State.Born = row.key, row.born
		return ok
	}
	if e.Number > 0 {
		k.put(e.Number, numberedRow{e.State.Key, e.State.Born})
	}
	return true
}

func (k *knownRows) put(number uint64, row numberedRow) {
	if k.byNumber == nil || len(k.byNumber) >= 2*maxNumbers {
		k.byNumber = make(map[uint64]numberedRow) // what is still in use comes again with a pull
	}
	k.byNumber[number] = row
}
