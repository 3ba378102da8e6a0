package httpapi

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"remuda/httpapi/ask"
	"remuda/store"
)

// collection is a source of rows that are listed anew at every refresh. It tells
// what changed by the hash of each row's stable members.
type collection struct {
	list   func(c *collection) meta // fills rows
	params *ask.Params
	size   share
	tables share // of the store, that rows are made of

	rows    []*record // as of the last refresh, sorted and cut
	spare   []*record
	hashes  map[string]uint64
	upsert  []*record
	removed []string
	stable  []byte
	ordered bool // rows come in the order they are to be kept in
}

var rowSeed = maphash.MakeSeed()

// add returns an empty record that will be part of the rows.
func (c *collection) add(key string) *record {
	var r *record
	if n := len(c.spare); n > 0 {
		r, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		r = new(record)
	}
	r.reset(key)
	if n := len(c.rows) + 1; n*recordSize > int(c.size.size) && !c.size.is(int64(n)*recordSize) {
		c.spare = append(c.spare, r) // filled, and not used
		return r
	}
	c.rows = append(c.rows, r)
	return r
}

func (c *collection) lease(l *lease) { c.size.lease, c.tables.lease = l, l }

// clear empties the rows and keeps their memory.
func (c *collection) clear() {
	c.spare = append(c.spare, c.rows...)
	c.rows = c.rows[:0]
}

func (c *collection) refresh() meta {
	c.clear()
	m := c.list(c)
	if arrange(&c.rows, &c.spare, c.params, c.ordered) {
		m.truncated = true
	}
	before := c.hashes
	c.hashes = make(map[string]uint64, len(c.rows))
	c.upsert, c.removed = c.upsert[:0], c.removed[:0]
	for _, r := range c.rows {
		c.stable = r.appendStable(c.stable[:0], c.params.Fields)
		h := maphash.Bytes(rowSeed, c.stable)
		c.hashes[r.key] = h
		if old, ok := before[r.key]; !ok || old != h {
			c.upsert = append(c.upsert, r)
		}
	}
	for key := range before {
		if _, ok := c.hashes[key]; !ok {
			c.removed = append(c.removed, key)
		}
	}
	return m
}

func (c *collection) records() []*record { return c.rows }

func (c *collection) appendSnapshot(dst []byte) []byte {
	return appendRows(dst, `"rows":`, c.rows, c.params.Fields)
}

func (c *collection) appendDelta(dst []byte) []byte {
	return appendChange(dst, c.upsert, c.removed, c.params.Fields)
}

func appendRows(dst []byte, name string, rows []*record, fields []string) []byte {
	dst = append(append(dst, name...), '[')
	for i, r := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = r.appendJSON(dst, fields)
	}
	return append(dst, ']')
}

func appendChange(dst []byte, upsert []*record, removed []string, fields []string) []byte {
	dst = appendRows(dst, `"upsert":`, upsert, fields)
	return appendStrings(append(dst, `,"remove":`...), removed)
}

// arrange sorts rows as asked, by key unless they come in an order of their own,
// and keeps the first limit. It reports whether any were cut.
func arrange(rows, spare *[]*record, p *ask.Params, ordered bool) (cut bool) {
	if p.Sort != "" {
		sortBy(*rows, p.Sort, p.Descend)
	} else if !ordered {
		slices.SortFunc(*rows, func(a, b *record) int { return strings.Compare(a.key, b.key) })
	}
	if len(*rows) <= p.Limit {
		return false
	}
	*spare = append(*spare, (*rows)[p.Limit:]...)
	*rows = (*rows)[:p.Limit]
	return true
}

// sortBy sorts rows by a column, and what is equal by key.
func sortBy(rows []*record, column string, descend bool) {
	type valued struct {
		row *record
		sortValue
	}
	list := make([]valued, len(rows))
	for i, r := range rows {
		list[i] = valued{r, sortValueOf(r.find(column))}
	}
	slices.SortFunc(list, func(a, b valued) int {
		return cmp.Or(a.compare(&b.sortValue, descend), strings.Compare(a.row.key, b.row.key))
	})
	for i := range list {
		rows[i] = list[i].row
	}
}

// sortValue is a JSON value that rows are sorted by. It is read once: there may be as many
// rows as series.
type sortValue struct {
	text     []byte // nil: null
	number   float64
	isNumber bool
}

func sortValueOf(v []byte) (s sortValue) {
	if absent(v) {
		return s
	}
	s.text = v
	n, err := strconv.ParseFloat(string(v), 64)
	s.number, s.isNumber = n, err == nil
	return s
}

// compare puts null last either way, numbers by size, all else by its text.
func (s *sortValue) compare(o *sortValue, descend bool) (order int) {
	switch {
	case s.text == nil && o.text == nil:
		return 0
	case s.text == nil:
		return 1
	case o.text == nil:
		return -1
	case s.isNumber && o.isNumber:
		order = cmp.Compare(s.number, o.number)
	default:
		order = bytes.Compare(s.text, o.text)
	}
	if descend {
		return -order
	}
	return order
}

func absent(v []byte) bool { return len(v) == 0 || string(v) == "null" }

// plainMeta is the metadata of an answer that no table computes.
func plainMeta(a *API, p *ask.Params) meta {
	return meta{Meta: a.store.Meta(p.Filter[store.ProfileDim], p.Window)}
}
