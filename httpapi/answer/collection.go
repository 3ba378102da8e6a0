package answer

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"remuda/httpapi/ask"
	"remuda/httpapi/memory"
	"remuda/httpapi/value"
	"remuda/store"
)

// A Collection is a source of rows that are listed anew at every refresh. It tells
// what changed by the hash of each row's stable members.
type Collection struct {
	list   func(c *Collection) meta // fills rows
	params *ask.Params
	size   memory.Share
	tables memory.Share // of the store, that rows are made of

	rows    []*Record // as of the last refresh, sorted and cut
	spare   []*Record
	hashes  map[string]uint64
	upsert  []*Record
	removed []string
	stable  []byte
	ordered bool // rows come in the order they are to be kept in
}

// recordSize is what a row takes as a record and in the text, bytes.
const recordSize = 2 << 10

var rowSeed = maphash.MakeSeed()

// Add returns an empty record that will be part of the rows.
func (c *Collection) Add(key string) *Record {
	var r *Record
	if n := len(c.spare); n > 0 {
		r, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		r = new(Record)
	}
	r.reset(key)
	if n := len(c.rows) + 1; n*recordSize > int(c.size.Size) && !c.size.Need(int64(n)*recordSize) {
		c.spare = append(c.spare, r) // filled, and not used
		return r
	}
	c.rows = append(c.rows, r)
	return r
}

func (c *Collection) lease(l *memory.Lease) { c.size.Lease, c.tables.Lease = l, l }

// clear empties the rows and keeps their memory.
func (c *Collection) clear() {
	c.spare = append(c.spare, c.rows...)
	c.rows = c.rows[:0]
}

func (c *Collection) refresh() meta {
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

func (c *Collection) records() []*Record { return c.rows }

func (c *Collection) appendSnapshot(dst []byte) []byte {
	return appendRows(dst, `"rows":`, c.rows, c.params.Fields)
}

func (c *Collection) appendDelta(dst []byte) []byte {
	return appendChange(dst, c.upsert, c.removed, c.params.Fields)
}

func appendRows(dst []byte, name string, rows []*Record, fields []string) []byte {
	dst = append(append(dst, name...), '[')
	for i, r := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = r.appendJSON(dst, fields)
	}
	return append(dst, ']')
}

func appendChange(dst []byte, upsert []*Record, removed []string, fields []string) []byte {
	dst = appendRows(dst, `"upsert":`, upsert, fields)
	return value.AppendStrings(append(dst, `,"remove":`...), removed)
}

// arrange sorts rows as asked, by key unless they come in an order of their own,
// and keeps the first limit. It reports whether any were cut.
func arrange(rows, spare *[]*Record, p *ask.Params, ordered bool) (cut bool) {
	if p.Sort != "" {
		sortBy(*rows, p.Sort, p.Descend)
	} else if !ordered {
		slices.SortFunc(*rows, func(a, b *Record) int { return strings.Compare(a.key, b.key) })
	}
	if len(*rows) <= p.Limit {
		return false
	}
	*spare = append(*spare, (*rows)[p.Limit:]...)
	*rows = (*rows)[:p.Limit]
	return true
}

// sortBy sorts rows by a column, and what is equal by key.
func sortBy(rows []*Record, column string, descend bool) {
	type valued struct {
		row *Record
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
func plainMeta(a *Answers, p *ask.Params) meta {
	return meta{Meta: a.store.Meta(p.Filter[store.ProfileDim], p.Window)}
}
