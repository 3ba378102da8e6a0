//go:build unix

package store

import (
	"strconv"
	"testing"
	"time"

	"remuda/store/cell"
)

// TestPauses: work on very much is in pieces, and between them no lock is held: an event
// can be counted, and another table read.
func TestPauses(t *testing.T) {
	const many = 20_000
	for name, vary := range map[string]func(i int, e *Event){
		"one row":   func(i int, e *Event) { e.Method = "m" + strconv.Itoa(i) },
		"many rows": func(i int, e *Event) { e.ProviderID, e.Result, e.Weight = "p"+strconv.Itoa(i), cell.Failure, 30 },
	} {
		g := newGrown(t)
		g.decisions(many, vary)
		pauses := 0
		pause := func() {
			if pauses++; pauses%50 > 0 {
				return
			}
			g.decisions(1, func(_ int, e *Event) { e.Profile = "other" })
			g.rows(Query{By: []Dim{ChainDim}, Filter: Filter{ProfileDim: {"other"}}, Window: cell.Window1m}, 1)
		}
		read := func(what string, least int, read func()) {
			t.Helper()
			pauses = 0
			read()
			if pauses < least {
				t.Errorf("%s, %s: %d pauses", name, what, pauses)
			}
		}
		q := Query{By: []Dim{ChainDim, ProviderDim}, Filter: Filter{ProfileDim: {"default"}}, Window: cell.Window1m, Providers: true, Pause: pause}
		read("a table", 2*numShards, func() { g.store.NewTable(q).Refresh() })
		read("points", many, func() { g.store.Series(q, time.Second) })
		read("attention", 2*numShards, func() {
			Watch(g.store)(q.Filter, cell.Window1m, pause)
		})
	}
}
