package store

import (
	"runtime"
	"testing"

	"remuda/store/cell"
)

// TestTableSize: what a table says it takes is about what it does, and one that is told to
// stop does so long before it is whole.
func TestTableSize(t *testing.T) {
	s, err := New(Options{MaxSeries: 200_000})
	if err != nil {
		t.Fatal(err)
	}
	const series = 20_000
	for i, batch := range workload(series, series/250, 1000, s.Now()) {
		renew(batch, uint64(i)+1<<40, s.Now())
		s.Apply(batch)
	}
	s.Tick()
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // pools are emptied by the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, by := range [][]Dim{{ChainDim}, {ChainDim, ProviderDim, MethodDim, RegionDim, TransportDim, StrategyDim}} {
		q := Query{By: by, Window: cell.Window1m}
		s.NewTable(q).Refresh() // sums that rows keep are not the table's
		before := heap()
		table := s.NewTable(q)
		changed, _ := table.Refresh()
		rows := len(table.Rows())
		took := heap() - before
		if says := table.Size(); says < took*2/3 || says > took*3/2 {
			t.Errorf("by %v: a table of %d rows says it takes %d bytes and takes %d", by, rows, says, took)
		}
		runtime.KeepAlive(changed)
		runtime.KeepAlive(table)

		whole := table.Size()
		q.Grow = func(bytes int64) bool { return bytes < whole/2 }
		half := s.NewTable(q)
		if half.Refresh(); !half.Stopped() || half.Size() > whole*3/5 || len(half.Rows()) > 0 {
			t.Errorf("by %v: a table that may be of %d bytes has %d", by, whole/2, half.Size())
		}
	}
}
