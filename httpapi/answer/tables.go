package answer

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"remuda/httpapi/ask"
	"remuda/httpapi/memory"
	"remuda/httpapi/value"
	"remuda/store"
	"remuda/store/cell"
)

// tableSource is the rows of a store.Table. As long as the limit cuts nothing, a
// refresh costs what changed; otherwise all rows are encoded to see which stay.
type tableSource struct {
	table   *sharedTable
	size    memory.Share
	params  *ask.Params
	pause   func() // nil: it is not called
	by      []store.Dim
	meta    meta
	rows    []*Record
	spare   []*Record
	upsert  []*Record
	removed []string
	hashes  map[string]uint64 // of the rows that subscribers have
	encoded bool              // rows are all rows as of the last refresh
	cut     bool              // the limit cut rows at the last refresh
	loose   bool              // upsert's records are in no other list
	divisor int               // see divisorOf
	once    bool              // nobody asks what changed: it is refreshed once
	stable  []byte
}

func newTableSource(a *Answers, p *ask.Params, pause func()) source { return newTables(a, p, pause) }

func newTables(a *Answers, p *ask.Params, pause func()) *tableSource {
	q := store.Query{Filter: p.Filter, By: p.By, Window: p.Window, Compare: p.Compare, Pause: pause}
	if slices.Equal(p.By, byProvider) {
		q.Providers, q.ExpandRegions, q.ExpandMethods = true, p.Regions, p.Methods
	}
	t := &tableSource{table: newSharedTable(a.store, q), params: p, pause: pause, by: p.By, hashes: make(map[string]uint64)}
	return t
}

func (t *tableSource) lease(l *memory.Lease) {
	t.size.Lease, t.table.size.Lease = l, l
}

// sharedTable is a table, which topics that differ only in what they make of its rows share.
type sharedTable struct {
	*store.Table
	query   store.Query
	size    memory.Share
	round   *int // of whoever has several topics; nil: every refresh is one
	done    int  // the newest
	changed []*store.Row
	removed []string
}

func newSharedTable(s *store.Store, q store.Query) *sharedTable {
	t := &sharedTable{query: q}
	q.Grow = func(bytes int64) bool { return t.size.Need(bytes) }
	t.Table = s.NewTable(q)
	return t
}

// refresh is that of the table, once a round.
func (t *sharedTable) refresh() (changed []*store.Row, removed []string) {
	if t.round == nil || *t.round != t.done {
		t.changed, t.removed = t.Refresh()
		t.size.Need(t.Size())
	}
	if t.round != nil {
		t.done = *t.round
	}
	return t.changed, t.removed
}

// id is the same for tables with the same rows.
func (t *sharedTable) id() string {
	q := &t.query
	return fmt.Sprintf("%q %v %v %t %t %t %t", q.Filter, q.By, q.Window, q.Providers, q.ExpandRegions, q.ExpandMethods, q.Compare)
}

func (t *tableSource) refresh() meta {
	changed, removed := t.table.refresh()
	t.meta = meta{Meta: t.table.Meta()}
	t.encoded = false
	if t.loose {
		t.spare = append(t.spare, t.upsert...)
	}
	t.upsert, t.removed = t.upsert[:0], t.removed[:0]
	if t.once || t.table.Stopped() {
		return t.meta
	}
	all := t.table.Rows()
	if d := divisorOf(t.meta.CoveredMillis, t.params.Window); d != t.divisor {
		t.divisor, changed = d, all
	}
	t.loose = len(all) <= t.params.Limit && !t.cut
	if !t.loose {
		t.refreshCut()
		return t.meta
	}
	for _, key := range removed {
		if _, ok := t.hashes[key]; ok {
			delete(t.hashes, key)
			t.removed = append(t.removed, key)
		}
	}
	for _, row := range changed {
		if !t.hold(len(t.upsert) + 1) {
			return t.meta
		}
		r := t.record(row)
		if t.differs(r) {
			t.upsert = append(t.upsert, r)
		} else {
			t.spare = append(t.spare, r)
		}
	}
	return t.meta
}

// refreshCut is refresh for when the limit decides which rows there are.
func (t *tableSource) refreshCut() {
	t.encode()
	t.cut = t.meta.truncated
	kept := make(map[string]bool, len(t.rows))
	for _, r := range t.rows {
		kept[r.key] = true
		if t.differs(r) {
			t.upsert = append(t.upsert, r)
		}
	}
	for key := range t.hashes {
		if !kept[key] {
			delete(t.hashes, key)
			t.removed = append(t.removed, key)
		}
	}
}

// divisorOf is what rates divide by, to some 10 %: what of a window is covered. That
// moves while a node is young, and when it is told of a time before its start. The
// rates of rows alone that move with every frame are no change; this is one, of all.
func divisorOf(covered int64, w cell.Window) int {
	return int(math.Log(float64(max(min(covered, w.Length().Milliseconds()), 1))) * 10)
}

// differs reports whether a row is not what subscribers have, and notes it.
func (t *tableSource) differs(r *Record) bool {
	t.stable = r.appendStable(t.stable[:0], t.params.Fields)
	t.stable = append(t.stable, byte(t.divisor))
	h := maphash.Bytes(rowSeed, t.stable)
	old, ok := t.hashes[r.key]
	t.hashes[r.key] = h
	return !ok || old != h
}

// encode makes records of all rows, sorted and cut.
func (t *tableSource) encode() {
	if t.encoded {
		return
	}
	t.encoded = true
	t.spare = append(t.spare, t.rows...)
	t.rows = t.rows[:0]
	for i, row := range t.arranged() {
		if i&255 == 255 && t.pause != nil {
			t.pause()
		}
		if !t.hold(len(t.rows) + 1) {
			return
		}
		t.rows = append(t.rows, t.record(row))
	}
}

// hold says that so many rows are encoded, and reports whether they may be.
func (t *tableSource) hold(rows int) bool {
	return rows*recordSize <= int(t.size.Size) || t.size.Need(int64(max(rows, len(t.spare)))*recordSize)
}

// arranged returns the rows sorted as asked and cut to the limit.
func (t *tableSource) arranged() []*store.Row {
	all := t.table.Rows() // by key
	if t.params.Sort != "" {
		all = t.sorted(all)
	}
	if len(all) > t.params.Limit {
		all, t.meta.truncated = all[:t.params.Limit], true
	}
	return all
}

// sorted returns rows by the value of a column, and then by key. Only the values are kept
// of what is encoded for it.
func (t *tableSource) sorted(rows []*store.Row) []*store.Row {
	type valued struct {
		row *store.Row
		sortValue
	}
	list := make([]valued, len(rows))
	var r Record
	for i, row := range rows {
		if i&255 == 255 && t.pause != nil {
			t.pause()
		}
		t.fill(&r, row)
		list[i] = valued{row, sortValueOf(bytes.Clone(r.find(t.params.Sort)))}
	}
	slices.SortFunc(list, func(a, b valued) int {
		return cmp.Or(a.compare(&b.sortValue, t.params.Descend), strings.Compare(a.row.Key, b.row.Key))
	})
	sorted := make([]*store.Row, len(list))
	for i := range list {
		sorted[i] = list[i].row
	}
	return sorted
}

func (t *tableSource) records() []*Record {
	t.encode()
	return t.rows
}

func (t *tableSource) appendSnapshot(dst []byte) []byte {
	return appendRows(dst, `"rows":`, t.records(), t.params.Fields)
}

func (t *tableSource) appendDelta(dst []byte) []byte {
	return appendChange(dst, t.upsert, t.removed, t.params.Fields)
}

// record encodes a row.
func (t *tableSource) record(row *store.Row) *Record {
	var r *Record
	if n := len(t.spare); n > 0 {
		r, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		r = new(Record)
	}
	t.fill(r, row)
	return r
}

// fill makes a record the one of a row.
func (t *tableSource) fill(r *Record, row *store.Row) {
	r.reset(row.Key)
	for _, d := range t.by {
		r.Text(d.String(), row.Dims[d])
	}
	r.figures(&row.Figures, t.meta.CoveredMillis)
	if t.params.Compare {
		r.previous(row.Previous, t.params.Window)
	}
	if row.Provider != nil {
		r.provider(row.Provider)
	}
	if t.params.Regions && row.Provider != nil {
		r.value("by_region", func(dst []byte) []byte {
			return appendParts(dst, row.Regions, "region", store.RegionDim, t.meta.CoveredMillis)
		})
	}
	if t.params.Methods && row.Provider != nil {
		r.value("methods", func(dst []byte) []byte { return appendMethods(dst, row.Methods) })
	}
}

// provider adds what latest values say about a provider.
func (r *Record) provider(p *store.ProviderState) {
	r.value("circuit", func(dst []byte) []byte { return appendCircuit(dst, p) })
	r.Integer("circuits_open", int64(p.CircuitsOpen))
	r.Integer("circuits_known", int64(p.CircuitsKnown))
	if p.HasHeight {
		r.Count("block_height", p.Height)
	} else {
		r.Null("block_height")
	}
	if p.HasLag {
		r.Integer("block_lag_blocks", p.LagBlocks)
	} else {
		r.Null("block_lag_blocks")
	}
	if p.HasHealth {
		r.Count("consecutive_failures", uint64(p.Failures))
	} else {
		r.Null("consecutive_failures")
	}
	r.Integer("regions_reporting", int64(p.RegionsReporting))
	r.Text("status", p.Status.String())
	r.value("status_reasons", func(dst []byte) []byte { return value.AppendStrings(dst, p.StatusReasons) })
}

func appendCircuit(dst []byte, p *store.ProviderState) []byte {
	dst = value.AppendString(append(dst, `{"http":`...), p.Circuit[store.HTTP].String())
	dst = value.AppendString(append(dst, `,"ws":`...), p.Circuit[store.WS].String())
	return append(dst, '}')
}

// appendParts appends the rows inside of a row.
func appendParts(dst []byte, rows []store.Row, name string, d store.Dim, covered int64) []byte {
	var r Record
	dst = append(dst, '[')
	for i := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		r.reset(rows[i].Key)
		r.Text(name, rows[i].Dims[d])
		r.figures(&rows[i].Figures, covered)
		dst = r.appendJSON(dst, nil)
	}
	return append(dst, ']')
}

func appendMethods(dst []byte, rows []store.Row) []byte {
	dst = append(dst, '[')
	for i := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		f := &rows[i].Figures
		dst = value.AppendString(append(dst, `{"method":`...), rows[i].Dims[store.MethodDim])
		dst = value.AppendUint(append(dst, `,"total_calls":`...), f.Calls)
		dst = value.AppendPercent(append(dst, `,"success_rate_pct":`...), f.Successes(), f.Ended())
		dst = value.AppendMillis(append(dst, `,"avg_latency_ms":`...), f.Avg)
		dst = value.AppendMillis(append(dst, `,"p95_latency_ms":`...), f.P95)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
