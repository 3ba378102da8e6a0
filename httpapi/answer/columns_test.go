package answer

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"remuda/httpapi/ask"
	"remuda/store"
	"remuda/store/attention"
	"remuda/store/cell"
	"remuda/store/rank"
)

// set gives everything in a value some value that is in bounds.
func set(v reflect.Value, depth int, n *int) {
	if !v.CanSet() {
		return // the store's own
	}
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("s", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8: // a word
		v.SetUint(1)
	case reflect.Uint16: // a fault
		v.SetUint(0x0303)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(1_000_000 - 1000**n))
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(1_000_000 - 1000**n))
	case reflect.Float64:
		v.SetFloat(float64(1_000_000 - 1000**n))
	case reflect.Array:
		for i := range v.Len() {
			set(v.Index(i), depth, n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			set(v.Field(i), depth, n)
		}
	case reflect.Pointer:
		if depth > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			set(v.Elem(), depth-1, n)
		}
	case reflect.Slice:
		if depth > 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			set(v.Index(0), depth-1, n)
		}
	default:
		panic(v.Kind())
	}
}

// vary calls yield with each part of a value changed, one at a time.
func vary(v reflect.Value, yield func()) {
	if !v.CanSet() {
		return
	}
	before := reflect.New(v.Type()).Elem()
	before.Set(v)
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(false)
	case reflect.Uint8:
		v.SetUint(0)
	case reflect.Uint16:
		v.SetUint(0x0404)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() / 2)
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() / 2)
	case reflect.Float64:
		v.SetFloat(v.Float() / 2)
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			vary(v.Index(i), yield)
		}
		return
	case reflect.Struct:
		for i := range v.NumField() {
			vary(v.Field(i), yield)
		}
		return
	case reflect.Pointer:
		if !v.IsNil() {
			vary(v.Elem(), yield)
		}
		return
	default:
		panic(v.Kind())
	}
	yield()
	v.Set(before)
}

// reach changes all that a row is made of, a part at a time. Whatever changes a column
// that does not move with the clock alone reaches streams, and nothing else does. Each
// column but the key is changed by something.
func reach[T any](t *testing.T, path string, columns, moving []string, encode func(r *Record, row *T), differs func(before, after *Record) bool) {
	t.Helper()
	row, n := new(T), 0
	set(reflect.ValueOf(row).Elem(), 2, &n)
	var before, after Record
	before.reset("k")
	encode(&before, row)
	reached := make(map[string]bool)
	vary(reflect.ValueOf(row).Elem(), func() {
		after.reset("k")
		encode(&after, row)
		var names []string
		for _, column := range columns {
			if after.find(column) == nil {
				t.Fatalf("%s: a row has no %s", path, column)
			}
			if column != "key" && !bytes.Equal(before.find(column), after.find(column)) {
				names = append(names, column)
				reached[column] = true
			}
		}
		stable := slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(moving, name) })
		if got := differs(&before, &after); got != stable {
			t.Errorf("%s: that %v differ reaches streams: %v", path, names, got)
		}
	})
	for _, column := range columns {
		if column != "key" && !reached[column] {
			t.Errorf("%s: nothing changes %s", path, column)
		}
	}
}

// inCollection reports whether a row that becomes another reaches the streams of a
// collection.
func inCollection(before, after *Record) bool {
	row := before
	c := listed(&ask.Params{Limit: 1}, func(c *Collection) meta {
		r := c.Add("k")
		r.buf, r.members = row.buf, row.members
		return meta{}
	})
	c.refresh()
	row = after
	c.spare, c.rows = nil, nil // what is in them is not theirs
	c.refresh()
	return len(c.upsert) > 0
}

// inTable is the same of a table.
func inTable(before, after *Record) bool {
	s := &tableSource{params: &ask.Params{}, hashes: make(map[string]uint64)}
	s.differs(before)
	return s.differs(after)
}

// TestColumnsReachStreams: whatever a column is changed by is told to those who follow,
// unless it moves with the clock alone.
func TestColumnsReachStreams(t *testing.T) {
	p := &ask.Params{} // of all profiles, so that rows say which
	reach(t, "/circuits", circuitColumns, nil, func(r *Record, row *store.CircuitReport) { r.circuit(row, p) }, inCollection)
	reach(t, "/circuits/changes", changeColumns, nil, func(r *Record, row *store.CircuitChange) { r.change(row, p) }, inCollection)
	reach(t, "/blocks", blockColumns, nil, func(r *Record, row *store.BlockReport) { r.block(row, p) }, inCollection)
	reach(t, "/provider_health", healthColumns, nil, func(r *Record, row *store.HealthReport) { r.health(row, p) }, inCollection)
	reach(t, "/senders", senderColumns, []string{"total_calls", "calls_per_second"}, func(r *Record, row *store.Sender) { r.sender(row, p) }, inCollection)
	reach(t, "/cluster", memberColumns, []string{"delta_age_ms"}, func(r *Record, row *store.Member) { r.member(row) }, inCollection)
	reach(t, "/rank", rankColumns, []string{"age_ms"}, func(r *Record, row *rank.Row) { r.ranked(row, 2_000_000) }, inCollection)
	reach(t, "/attention", alarmColumns, nil, func(r *Record, row *attention.Alarm) { r.alarm(row, p) }, inCollection)

	s := &tableSource{
		params: &ask.Params{Regions: true, Methods: true, Compare: true, Window: cell.Window1m}, meta: meta{Meta: store.Meta{CoveredMillis: 60_000}},
	}
	for d := range store.NumDims {
		s.by = append(s.by, d)
	}
	columns := slices.Concat(dimensionNames(), tableColumns(nil, providerColumns...))
	reach(t, "/providers", columns, []string{"calls_per_second"}, func(r *Record, row *store.Row) {
		same := *row
		same.Key = "k" // with another it is another row
		s.fill(r, &same)
	}, inTable)
}

// TestFaces: each column of a text table is one of its resource, each resource with a
// table of its own has rows, and no head stands for two columns.
func TestFaces(t *testing.T) {
	resources := ofStore()
	for path, faces := range tableFaces {
		columns := slices.Clone(figureColumns)
		i := slices.IndexFunc(resources, func(res *Resource) bool { return res.Path == path })
		if i >= 0 {
			columns = columnsOf(resources[i], &ask.Params{})
		} else if path != "figures" && path != "/limits" && path != "/runtime" { // those two are the node's
			t.Errorf("%s is no resource", path)
		}
		heads := make(map[string]bool)
		for _, face := range faces {
			if column, head := face[0], face[1]; i >= 0 && !slices.Contains(columns, column) || path == "figures" && !slices.Contains(columns, column) {
				t.Errorf("%s has no column %s", path, column)
			} else if heads[head] || head != strings.ToUpper(head) {
				t.Errorf("%s: %s is the head of %s, and of another", path, head, column)
			}
			heads[face[1]] = true
		}
	}
}
