package store

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// These tests go by the fields that the types have, not by lists of their own: a figure
// that is forgotten in one of the places that must know it fails one of them.

// leaf is a number, text or flag somewhere in a value.
type leaf struct {
	path string
	reflect.Value
}

// leaves lists those of what v points to. Fields that are not exported can be set, too.
func leaves(v any) []leaf {
	var list []leaf
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				f := v.Field(i)
				walk(path+"."+v.Type().Field(i).Name, reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem())
			}
		case reflect.Array, reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Pointer:
			if !v.IsNil() {
				walk(path, v.Elem())
			}
		default:
			list = append(list, leaf{path, v})
		}
	}
	walk("", reflect.ValueOf(v))
	return list
}

// change makes a leaf another than it is.
func (l leaf) change() {
	switch l.Kind() {
	case reflect.Bool:
		l.SetBool(!l.Bool())
	case reflect.String:
		l.SetString(l.String() + "x")
	case reflect.Float64:
		l.SetFloat(l.Float() + 1)
	default:
		if l.CanInt() {
			l.SetInt(l.Int() ^ 1)
		} else {
			l.SetUint(l.Uint() ^ 1)
		}
	}
}

// numbered are counts in which every figure is another: from, from+1, and so on.
func numbered(from uint64) *counts {
	c := new(counts)
	for i, l := range leaves(c) {
		l.SetUint(from + uint64(i))
	}
	return c
}

// TestMeasures: every figure is one of Measures, and is merged, taken away, listed and
// told by digests.
func TestMeasures(t *testing.T) {
	s := series{mark: 7}
	if n := reflect.TypeFor[Counts]().NumField(); n != len(Measures) {
		t.Errorf("%d figures, %d measures", n, len(Measures))
	}
	names := make(map[string]bool)
	for i := range Measures {
		c := numbered(10)
		of := reflect.ValueOf(&c.Counts).Elem().Field(i)
		if got := Measures[i].Of(&c.Counts); got != of.Uint() {
			t.Errorf("measure %d is not that of field %d", i, i)
		}
		names[Measures[i].Name] = Measures[i].Help != ""
	}
	if len(names) != len(Measures) {
		t.Errorf("names are not different: %v", names)
	}

	sum := numbered(1000)
	sum.merge(numbered(50))
	for i, l := range leaves(sum) {
		if got, want := l.Uint(), 1050+2*uint64(i); got != want {
			t.Errorf("merged, %s is %d, want %d", l.path, got, want)
		}
	}
	if sum.subtract(numbered(50)); *sum != *numbered(1000) {
		t.Errorf("merged and taken away: %+v", sum)
	}

	var set counts
	if set.set(numbered(10).list()); set != *numbered(10) {
		t.Errorf("listed and set: %+v", set)
	}
	for i := range leaves(new(counts)) {
		c := numbered(10)
		l := leaves(c)[i]
		if l.change(); c.list() == numbered(10).list() {
			t.Errorf("the list has no %s", l.path)
		}
		if s.digest(c) == s.digest(numbered(10)) {
			t.Errorf("the digest does not tell %s", l.path)
		}
		for j := range i {
			c := numbered(10)
			a, b := leaves(c)[i], leaves(c)[j]
			x, y := a.Uint(), b.Uint()
			a.SetUint(y)
			b.SetUint(x)
			if s.digest(c) == s.digest(numbered(10)) {
				t.Errorf("the digest does not tell %s from %s", a.path, b.path)
			}
		}
	}
}

// unlike is a cell in which no number is 0 nor that of another field, with a category
// of its own.
func unlike() *cell {
	c := &cell{
		counts: counts{
			Counts: Counts{Calls: 1000, Errors: 100, ProviderErrors: 60, Requests: 900, RequestErrors: 50, Failovers: 70, Samples: 200},
			sum:    uint128{high: 3, low: 1 << 40},
		},
		min: 5, max: 90_000, failedMin: 7, failedMax: 80_000,
		categories: []categoryCount{{2, 40}, {3, 50}, {categoryID(len(knownCategories)), 10}},
	}
	c.successes.add(bucketOf(5), 300)
	c.successes.add(bucketOf(90_000), 600)
	c.failures.add(bucketOf(7), 10)
	c.failures.add(bucketOf(80_000), 90)
	return c
}

// TestEveryFieldIsPacked: a packed cell holds every field, whichever parts it leaves out.
func TestEveryFieldIsPacked(t *testing.T) {
	names := newCategories()
	if id := names.id("own"); int(id) != len(knownCategories) {
		t.Fatalf("the first own category is %d", id)
	}
	roundTrip := func(c *cell) *cell {
		var got cell
		if err := got.unpack(c.appendPacked(nil, names), names); err != nil {
			t.Fatal(err)
		}
		return &got
	}
	whole := unlike()
	for field := range reflect.TypeFor[cell]().NumField() {
		if reflect.ValueOf(whole).Elem().Field(field).IsZero() {
			t.Errorf("%s is not set: unlike does not know it", reflect.TypeFor[cell]().Field(field).Name)
		}
	}
	// Packed is what the wire and checkpoints have.
	for what, test := range map[string]struct {
		change func(c *cell)
		packed string
	}{
		"all of it":    {func(*cell) {}, "3fe807643c3207f9f004030328043200036f776e0a8407c80146058bbf0580808080802003049901ac028907d80404b7010ae1065a"},
		"no failovers": {func(c *cell) { c.Failovers = 0 }, "37e807643c3207f9f004030328043200036f776e0a8407c801058bbf0580808080802003049901ac028907d80404b7010ae1065a"},
		"all requests": {func(c *cell) { c.Requests = c.Calls }, "3de807643c3207f9f004030328043200036f776e0ac80146058bbf0580808080802003049901ac028907d80404b7010ae1065a"},
		"no weights":   {func(c *cell) { c.Samples = c.Calls }, "3be807643c3207f9f004030328043200036f776e0a840746058bbf0580808080802003049901ac028907d80404b7010ae1065a"},
		"small sum":    {func(c *cell) { c.sum.high = 0 }, "1fe807643c3207f9f004030328043200036f776e0a8407c80146058bbf05808080808020049901ac028907d80404b7010ae1065a"},
		"no errors": {func(c *cell) {
			c.Calls, c.Requests = 900, 800
			c.Errors, c.ProviderErrors, c.RequestErrors, c.failedMin, c.failedMax = 0, 0, 0, 0, 0
			c.categories, c.failures = nil, distribution{}
		}, "3e8407a006c80146058bbf0580808080802003049901ac028907d804"},
		"errors only": {func(c *cell) {
			c.Calls, c.Requests, c.Samples = c.Errors, c.RequestErrors, 90
			c.min, c.max, c.sum, c.successes = 0, 0, uint128{}, distribution{}
		}, "0f64643c3207f9f004030328043200036f776e0a325a4604b7010ae1065a"},
	} {
		c := unlike()
		test.change(c)
		packed := c.appendPacked(nil, names)
		if got := hex.EncodeToString(packed); got != test.packed {
			t.Errorf("%s: packed %s, want %s", what, got, test.packed)
		}
		if got := roundTrip(c); !reflect.DeepEqual(got, c) {
			t.Errorf("%s: %+v came back as %+v", what, c, got)
		}
		var ranges cell
		ranges.packedRanges(packed)
		want := cell{min: c.min, max: c.max, failedMin: c.failedMin, failedMax: c.failedMax}
		want.Calls, want.Errors = c.Calls, c.Errors
		if !reflect.DeepEqual(ranges, want) {
			t.Errorf("%s: the ranges are %+v, want %+v", what, ranges, want)
		}
	}
	for _, l := range leaves(new(cell)) { // slices are empty there
		c := unlike()
		for _, own := range leaves(c) {
			if own.path == l.path {
				l = own
			}
		}
		if l.change(); bytes.Equal(c.appendPacked(nil, names), unlike().appendPacked(nil, names)) {
			t.Errorf("packed, a cell does not tell %s", l.path)
		}
	}
}

// TestPlausible: each thing that cannot be keeps bytes from being a cell, alone.
func TestPlausible(t *testing.T) {
	const all = packErrors | packRequests | packSamples | packFailovers | packSuccesses | packHighSum
	for what, test := range map[string]struct {
		change func(c *cell)
		flags  byte
	}{
		"unknown part":                 {func(*cell) {}, all | 1<<6},
		"no samples":                   {func(c *cell) { c.Samples = 0 }, all},
		"more samples than calls":      {func(c *cell) { c.Samples = c.Calls + 1 }, all},
		"more errors than calls":       {func(c *cell) { c.Errors = c.Calls + 1 }, all &^ packSuccesses},
		"more faults than errors":      {func(c *cell) { c.ProviderErrors = c.Errors + 1 }, all},
		"more requests than calls":     {func(c *cell) { c.Requests = c.Calls + 1 }, all},
		"more failed than requests":    {func(c *cell) { c.Requests = c.RequestErrors - 1 }, all},
		"more failed than errors":      {func(c *cell) { c.RequestErrors = c.Errors + 1 }, all},
		"min above max":                {func(c *cell) { c.min = c.max + 1 }, all},
		"max too great":                {func(c *cell) { c.max = MaxMicros + 1 }, all},
		"failed min above max":         {func(c *cell) { c.failedMin = c.failedMax + 1 }, all},
		"failed max too great":         {func(c *cell) { c.failedMax = MaxMicros + 1 }, all},
		"successes without their part": {func(*cell) {}, all &^ packSuccesses},
		"errors without their part":    {func(*cell) {}, all &^ packErrors},
		"a sum too great":              {func(c *cell) { c.sum.high = c.Calls }, all},
	} {
		c := unlike()
		if test.change(c); c.plausible(test.flags) {
			t.Errorf("%s is plausible", what)
		}
	}
	names := newCategories()
	names.id("own")
	c, got := unlike(), new(cell)
	if !c.plausible(all) {
		t.Error("what is plausible is not")
	}
	c.Samples = 0
	if got.unpack(c.appendPacked(nil, names), names) == nil || got.Calls > 0 {
		t.Errorf("an implausible cell is %+v", got)
	}
}

// TestEveryFieldOfACell: an empty cell, one that another is merged into, and one from
// which it is taken away again.
func TestEveryFieldOfACell(t *testing.T) {
	c := unlike()
	var merged cell
	if merged.merge(c); !reflect.DeepEqual(&merged, c) {
		t.Errorf("%+v merged into nothing is %+v", c, merged)
	}
	merged.merge(c)
	for i, l := range leaves(&merged.counts) {
		if one := leaves(&c.counts)[i]; l.Uint() != 2*one.Uint() {
			t.Errorf("twice %s is %d", one.path, l.Uint())
		}
	}
	if merged.successes.counts[0] != 2*c.successes.counts[0] || merged.failures.counts[0] != 2*c.failures.counts[0] || merged.categories[0].count != 80 {
		t.Errorf("twice %+v is %+v", c, merged)
	}
	if merged.subtract(c); !reflect.DeepEqual(&merged, c) {
		t.Errorf("taken away once: %+v, want %+v", merged, c)
	}
	merged.subtract(c)
	for _, l := range leaves(&merged) {
		if l.path != ".successes.first" && l.path != ".failures.first" && !l.IsZero() {
			t.Errorf("taken away twice, %s is %v", l.path, l)
		}
	}
	others := &cell{counts: counts{Counts: Counts{Calls: 1, Errors: 1, Samples: 1}}, failedMin: 10, failedMax: 11, categories: []categoryCount{{9, 1}}}
	others.failures.add(bucketOf(80_000), 1)
	if merged.merge(c); merged.empty() {
		t.Fatal("nothing is merged")
	}
	if merged.merge(others); merged.min != c.min || merged.failedMin != c.failedMin {
		t.Errorf("with a failure more it is %+v", merged)
	}
	if merged.subtract(others); !reflect.DeepEqual(&merged, c) {
		t.Errorf("taken away: %+v, want %+v", merged, c)
	}
	successes := &cell{counts: counts{Counts: Counts{Calls: 1, Samples: 1}}, min: 10, max: 11, categories: []categoryCount{{1, 1}}}
	if merged.merge(&cell{counts: counts{Counts: successes.Counts}, min: 10, max: 11}); merged.min != c.min || merged.failedMin != c.failedMin {
		t.Errorf("with a success more it is %+v", merged)
	}
	if merged.subtract(successes); !reflect.DeepEqual(&merged, c) { // a category that is not there
		t.Errorf("taken away: %+v, want %+v", merged, c)
	}
	merged.reset()
	for _, l := range leaves(&merged) {
		if l.path != ".successes.first" && l.path != ".failures.first" && !l.IsZero() {
			t.Errorf("reset, %s is %v", l.path, l)
		}
	}
	for what, other := range map[string]*cell{
		"below and above": {min: 1, max: 100_000, failedMin: 1, failedMax: 100_000, counts: counts{Counts: Counts{Calls: 2, Errors: 1, Samples: 2}}},
		"within":          {min: 6, max: 7, failedMin: 8, failedMax: 9, counts: counts{Counts: Counts{Calls: 2, Errors: 1, Samples: 2}}},
	} {
		sum := unlike()
		sum.merge(other)
		if sum.min != min(c.min, other.min) || sum.max != max(c.max, other.max) ||
			sum.failedMin != min(c.failedMin, other.failedMin) || sum.failedMax != max(c.failedMax, other.failedMax) {
			t.Errorf("%s: from %d to %d, failures from %d to %d", what, sum.min, sum.max, sum.failedMin, sum.failedMax)
		}
	}
}

// TestRescan: when one of the least and greatest latencies leaves, they are looked for.
func TestRescan(t *testing.T) {
	for what, test := range map[string]struct {
		change func(o *cell)
		want   bool
	}{
		"within":              {func(*cell) {}, false},
		"the least":           {func(o *cell) { o.min = 5 }, true},
		"the greatest":        {func(o *cell) { o.max = 90_000 }, true},
		"the least failed":    {func(o *cell) { o.failedMin = 7 }, true},
		"the greatest failed": {func(o *cell) { o.failedMax = 80_000 }, true},
		"no success":          {func(o *cell) { o.Errors, o.min, o.max = o.Calls, 0, 90_000 }, false},
		"no failure":          {func(o *cell) { o.Errors, o.failedMin, o.failedMax = 0, 0, 80_000 }, false},
	} {
		o := &cell{min: 10, max: 100, failedMin: 10, failedMax: 100, counts: counts{Counts: Counts{Calls: 2, Errors: 1, Samples: 2}}}
		test.change(o)
		if got := unlike().subtract(o); got != test.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// fullRow is a row with all that rows may have.
func fullRow() *Row {
	figures := func() Figures { return Figures{Categories: []CategoryCount{{"timeout", 1}}} }
	previous := figures()
	return &Row{
		Key: "k", Figures: figures(), Previous: &previous, Provider: &ProviderState{StatusReasons: []string{"reason"}},
		Regions: []Row{{Key: "r", Figures: figures()}}, Methods: []Row{{Key: "m", Figures: figures()}},
	}
}

// TestSameRow: rows that differ in anything are not the same. Dims follow from the key.
func TestSameRow(t *testing.T) {
	if !sameRow(fullRow(), fullRow()) {
		t.Fatal("a row is not the same as itself")
	}
	seen := 0
	for i := range leaves(fullRow()) {
		row := fullRow()
		l := leaves(row)[i]
		if strings.Contains(l.path, ".Dims[") {
			continue
		}
		seen++
		if l.change(); sameRow(row, fullRow()) || sameRow(fullRow(), row) {
			t.Errorf("a row is the same whatever its %s", l.path)
		}
	}
	if seen < 80 {
		t.Errorf("%d fields looked at", seen)
	}
	for what, change := range map[string]func(*Row){
		"previous":   func(r *Row) { r.Previous = nil },
		"provider":   func(r *Row) { r.Provider = nil },
		"region":     func(r *Row) { r.Regions = nil },
		"method":     func(r *Row) { r.Methods = nil },
		"categories": func(r *Row) { r.Categories = nil },
		"reasons":    func(r *Row) { r.Provider.StatusReasons = nil },
	} {
		row := fullRow()
		if change(row); sameRow(row, fullRow()) || sameRow(fullRow(), row) {
			t.Errorf("a row is the same without its %s", what)
		}
	}
	for i := range reflect.TypeFor[Row]().NumField() {
		if f := reflect.TypeFor[Row]().Field(i); f.Name != "Dims" && reflect.ValueOf(fullRow()).Elem().Field(i).IsZero() {
			t.Errorf("fullRow has no %s", f.Name)
		}
	}
}

// distinct are events of one provider that make every figure another.
func distinct(at int64) []Event {
	event := func(n int, weight, failovers uint32, category string) Event {
		return Event{
			Sent: FieldTS | FieldRequestID, TS: at, SentTS: at, Profile: "default", Chain: "c", ProviderID: "p", Transport: WS, Method: "m", Strategy: "s",
			SourceNode: "gw", SourceRegion: "r", RequestID: fmt.Sprint(n), Weight: weight, DurationMicros: 1000, UpstreamMicros: 1000,
			FailoverCount: failovers, Failed: category != "", ErrorCategory: category,
		}
	}
	tried := event(5, 100, 1, "")
	tried.ProviderID = "other"
	tried.Attempts = []Attempt{{ProviderID: "p", Transport: WS, ErrorCategory: "timeout", DurationMicros: 500}}
	return []Event{event(1, 1000, 3, ""), event(2, 20, 0, "timeout"), event(3, 7, 0, "invalid_params"), tried}
}

// TestEveryFigureIsCounted: what calls add to each figure, in rows, in lifetimes before
// and after they age out, and at another node.
func TestEveryFigureIsCounted(t *testing.T) {
	want := Counts{Calls: 1127, Errors: 127, ProviderErrors: 120, Requests: 1027, RequestErrors: 27, Failovers: 3000, Samples: 4}
	for _, l := range leaves(&want) {
		if l.IsZero() {
			t.Errorf("%s is not counted", l.path)
		}
	}
	now := time.UnixMilli(1_700_000_000_000)
	open := func(node string) *Store {
		s, err := New(Options{Node: node, Incarnation: 1, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open("a")
	counter := func(when string, living bool) {
		t.Helper()
		for _, r := range s.Counters() {
			if r.Profile != "default" || r.Chain != "c" || r.Transport != WS {
				t.Errorf("%s, the labels are %+v", when, r)
			}
			if r.ProviderID == "p" && (r.Counts != want || r.LatencySumMicros != 1_000_000 || r.Living != living) {
				t.Errorf("%s, the counters are %+v, want %+v", when, r, want)
			}
		}
		if n := len(s.Counters()); n != 2 {
			t.Errorf("%s, there are %d counters", when, n)
		}
	}
	row := func(s *Store) Row {
		t.Helper()
		table := s.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: Window1m})
		table.Refresh()
		for _, r := range table.Rows() {
			if r.Dims[ProviderDim] == "p" {
				return *r
			}
		}
		t.Fatal("no row")
		return Row{}
	}
	s.Apply(distinct(s.Now()))
	counter("at once", true)
	if got := row(s); got.Counts != want || got.Avg != 1000 {
		t.Errorf("the row is %+v, want %+v", got.Figures, want)
	}
	now = now.Add(2 * time.Second)
	s.Tick()
	counter("after a tick", true)

	id := OriginID{Node: "a", Incarnation: 1}
	other := open("b")
	s.Changed(id, 0, AllTiers, func(state *RowState) bool {
		if err := other.Merge(id, state); err != nil {
			t.Error(err)
		}
		return true
	})
	if got := row(other); got.Counts != want || got.Avg != 1000 {
		t.Errorf("merged, the row is %+v, want %+v", got.Figures, want)
	}
	if s.Digest(id) != other.Digest(id) {
		t.Error("merged, the digests differ")
	}
	const digest = 0x92e6eaa5d7290570 // the same in every process and version
	if got := s.Digest(id); got != digest {
		t.Errorf("the digest is %#x, want %#x", got, uint64(digest))
	}

	now = now.Add(2 * time.Hour)
	s.Tick()
	s.Tick()
	counter("aged out", false)
}
