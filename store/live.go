package store

import "remuda/store/cell"

// liveCell is an open step of a row.
type liveCell struct {
	cell.Open
	step   int64
	tier   cell.Tier
	dirty  bool // differs from what the log holds
	summed bool // nothing but the sum of the finer cells of its step
}

// add counts a call.
func (l *liveCell) add(k *cell.Call) {
	l.dirty, l.summed = true, false
	l.Add(k)
}

// addTold counts a call that the lifetime of the row has already.
func (l *liveCell) addTold(k *cell.Call) {
	l.dirty, l.summed = true, false
	l.AddTold(k)
}
