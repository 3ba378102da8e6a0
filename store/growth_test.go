//go:build unix

package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"remuda/store/cell"
)

// growth are reads whose cost is to grow with what there is, and no faster, however the
// input is made: each prepares n things and returns what is measured.
var growth = []struct {
	name string
	make func(tb testing.TB, n int) (read func())
}{
	{"regions of a chain", func(tb testing.TB, n int) func() {
		g := newGrown(tb)
		g.decisions(n, func(i int, e *Event) { e.SourceRegion = "r" + strconv.Itoa(i) })
		return func() { g.rows(Query{By: []Dim{ChainDim}, Window: cell.Window1m}, 1) }
	}},
	{"series that age out together", func(tb testing.TB, n int) func() {
		g := newGrown(tb)
		g.decisions(n, func(i int, e *Event) { e.Method = "m" + strconv.Itoa(i) })
		table := g.store.NewTable(Query{By: []Dim{ChainDim}, Window: cell.Window1m})
		table.Refresh()
		for range 62 { // minutes, all but the last read
			g.now = g.now.Add(time.Minute)
			g.store.Tick()
		}
		return func() {
			if _, removed := table.Refresh(); len(removed) != 1 {
				tb.Fatalf("%d rows are gone", len(removed))
			}
		}
	}},
	{"series that leave a node", func(tb testing.TB, n int) func() {
		g := newGrown(tb)
		g.decisions(n, func(i int, e *Event) { e.Method = "m" + strconv.Itoa(i) })
		table := g.store.NewTable(Query{By: []Dim{NodeDim}, Window: cell.Window1m})
		table.Refresh()
		for range 62 {
			g.now = g.now.Add(time.Minute)
			g.store.Tick()
		}
		return func() { table.Refresh() }
	}},
	{"regions of a provider's latest values", func(tb testing.TB, n int) func() {
		g := newGrown(tb)
		g.reports(n, func(i int, e *Event) { e.Kind, e.Height, e.SourceRegion = Block, 1000, "r"+strconv.Itoa(i) })
		return func() {
			g.rows(Query{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window1m, Providers: true}, 1)
		}
	}},
	{"chains with latest values alone", func(tb testing.TB, n int) func() {
		g := newGrown(tb)
		g.reports(n, func(i int, e *Event) { e.Kind, e.Height, e.Chain = Block, 1000, "c"+strconv.Itoa(i) })
		return func() {
			g.rows(Query{By: []Dim{ChainDim}, Window: cell.Window1m}, n)
			g.store.Tick()
		}
	}},
	{"open circuits", func(tb testing.TB, n int) func() {
		g := newGrown(tb)
		g.reports(n, func(i int, e *Event) { e.Kind, e.To, e.ProviderID = Circuit, CircuitOpen, "p"+strconv.Itoa(i) })
		return func() { g.alarms(n) }
	}},
	{"failing providers", func(tb testing.TB, n int) func() {
		g := newGrown(tb)
		g.decisions(n, func(i int, e *Event) {
			e.ProviderID, e.Result, e.ErrorCategory, e.Weight = "p"+strconv.Itoa(i), cell.Failure, "timeout", 30
		})
		return func() { g.alarms(n); g.alarms(n) }
	}},
}

type grown struct {
	tb    testing.TB
	store *Store
	now   time.Time
	watch func(f Filter, w cell.Window, pause func()) (Meta, []Alarm)
}

func newGrown(tb testing.TB) *grown {
	g := &grown{tb: tb, now: time.UnixMilli(1_800_000_000_000)}
	var err error
	if g.store, err = New(Options{MaxSeries: 1 << 20, MaxLatestValues: 1 << 20, Now: func() time.Time { return g.now }}); err != nil {
		tb.Fatal(err)
	}
	return g
}

func (g *grown) decisions(n int, vary func(i int, e *Event)) {
	for i := range n {
		e := Event{
			TS: g.now.UnixMilli(), Profile: "default", Chain: "base", ProviderID: "p", Method: "m", Strategy: "s", SourceNode: "g",
			SourceRegion: "r", Weight: 1, DurationMicros: 5000, UpstreamMicros: 5000,
		}
		vary(i, &e)
		if r := g.store.Apply([]Event{e}); r.Accepted != 1 {
			g.tb.Fatal(r)
		}
	}
}

func (g *grown) reports(n int, vary func(i int, e *Event)) { g.decisions(n, vary) }

func (g *grown) rows(q Query, want int) {
	t := g.store.NewTable(q)
	t.Refresh()
	if rows := t.Rows(); len(rows) != want {
		g.tb.Fatalf("%d rows, not %d", len(rows), want)
	}
}

func (g *grown) alarms(atLeast int) {
	if g.watch == nil {
		g.watch = Watch(g.store)
	}
	if _, list := g.watch(Filter{}, cell.Window1m, nil); len(list) < atLeast {
		g.tb.Fatalf("%d alarms of %d", len(list), atLeast)
	}
}

// used is the processor time of this process: what others do does not count.
func used(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestGrowth: twenty times as much takes about twenty times as long; what looks through
// a list for each of its entries would take four hundred times.
func TestGrowth(t *testing.T) {
	const few, many, slack = 1000, 20_000, 7
	for _, c := range growth {
		t.Run(c.name, func(t *testing.T) {
			took := func(n int) float64 {
				read := c.make(t, n)
				began := used(t)
				read()
				return (used(t) - began).Seconds()
			}
			base := min(took(few), took(few), took(few))
			var least float64
			for range 3 { // the collector works for what was before, too
				if least = took(many) / base; least < slack*many/few {
					return
				}
			}
			t.Errorf("%d take %.0f times as long as %d", many, least, few)
		})
	}
}

// BenchmarkGrowth reports what one of n things costs: it is to stay about the same.
func BenchmarkGrowth(b *testing.B) {
	for _, c := range growth {
		for _, n := range []int{1000, 100_000} {
			b.Run(fmt.Sprintf("%s/n=%d", c.name, n), func(b *testing.B) {
				var all time.Duration
				for range b.N {
					b.StopTimer()
					read := c.make(b, n)
					b.StartTimer()
					began := used(b)
					read()
					all += used(b) - began
				}
				b.ReportMetric(float64(all)/float64(b.N)/float64(n), "cpu-ns/thing")
			})
		}
	}
}

// TestSortedInPieces: rows come by key, however many there are.
func TestSortedInPieces(t *testing.T) {
	for _, n := range []int{0, 1, 4096, 4097, 30_000} {
		table := (&Store{}).NewTable(Query{})
		rows := make([]*Row, n)
		for i := range rows {
			rows[i] = &Row{Key: strconv.Itoa(i * 7919 % 1_000_003)}
		}
		got := table.sorted(slices.Clone(rows))
		slices.SortFunc(rows, func(a, b *Row) int { return strings.Compare(a.Key, b.Key) })
		if !slices.Equal(got, rows) {
			t.Errorf("%d rows are out of order", n)
		}
	}
}
