package cell

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"

	"remuda/store/ids"
	"remuda/store/internal/leaf"
)

// unlike is a cell in which no number is 0 nor that of another field, with a category
// of its own.
func unlike() *Cell {
	c := &Cell{
		Sums: Sums{
			Counts: Counts{
				Calls: 1033, Errors: 100, ProviderErrors: 60, Requests: 900, RequestErrors: 50, Failovers: 70, Samples: 200,
				CutOff: 33, NotSent: 31, Hedges: 45, HedgeWins: 21,
			},
			sum: uint128{high: 3, low: 1 << 40},
		},
		min: 5, max: 90_000, failedMin: 7, failedMax: 80_000,
		cutOffs:    new(distribution),
		categories: []categoryCount{{2, 40}, {3, 50}, {CategoryID(len(knownCategories)), 10}},
	}
	c.successes.add(BucketOf(5), 300)
	c.successes.add(BucketOf(90_000), 600)
	c.failures.add(BucketOf(7), 10)
	c.failures.add(BucketOf(80_000), 90)
	c.cutOffs.add(BucketOf(6), 13)
	c.cutOffs.add(BucketOf(70_000), 20)
	return c
}

// plain takes from a cell what only some gateways tell.
func plain(c *Cell) {
	c.Calls -= c.CutOff
	c.CutOff, c.NotSent, c.Hedges, c.HedgeWins, c.cutOffs = 0, 0, 0, 0, nil
}

// TestEveryFieldIsPacked: a packed cell holds every field, whichever parts it leaves out.
func TestEveryFieldIsPacked(t *testing.T) {
	names := NewCategories()
	if id := names.ID("own"); int(id) != len(knownCategories) {
		t.Fatalf("the first own category is %d", id)
	}
	roundTrip := func(c *Cell) *Cell {
		var got Cell
		if err := got.Unpack(c.AppendPacked(nil, names), names); err != nil {
			t.Fatal(err)
		}
		return &got
	}
	whole := unlike()
	for field := range reflect.TypeFor[Cell]().NumField() {
		if reflect.ValueOf(whole).Elem().Field(field).IsZero() {
			t.Errorf("%s is not set: unlike does not know it", reflect.TypeFor[Cell]().Field(field).Name)
		}
	}
	// Packed is what the wire and checkpoints have.
	for what, test := range map[string]struct {
		change func(c *Cell)
		packed string
	}{
		"all of it": {func(*Cell) {}, "7f8908211f2d15643c3207f9f004030328043200036f776e0a8407c80146058bbf0580808080802003049701ac028907d80404b7010adf065a04a7010de30614"},
		"not sent":  {func(c *Cell) { *c = Cell{Sums: Sums{Counts: Counts{NotSent: 7}}} }, "400000070000"},
		"cut off": {func(c *Cell) {
			*c = Cell{Sums: Sums{Counts: Counts{Calls: 33, CutOff: 33, Requests: 33, Samples: 33}}, cutOffs: c.cutOffs}
		}, "40212100000004a7010de30614"},
		"nothing rare": {plain, "3fe807643c3207f9f004030328043200036f776e0a8407c80146058bbf0580808080802003049701ac028907d80404b7010adf065a"},
		"no failovers": {func(c *Cell) { c.Failovers = 0 }, "37e807643c3207f9f004030328043200036f776e0a8407c801058bbf0580808080802003049701ac028907d80404b7010adf065a"},
		"all requests": {func(c *Cell) { c.Requests = c.Calls }, "3de807643c3207f9f004030328043200036f776e0ac80146058bbf0580808080802003049701ac028907d80404b7010adf065a"},
		"no weights":   {func(c *Cell) { c.Samples = c.Calls }, "3be807643c3207f9f004030328043200036f776e0a840746058bbf0580808080802003049701ac028907d80404b7010adf065a"},
		"small sum":    {func(c *Cell) { c.sum.high = 0 }, "1fe807643c3207f9f004030328043200036f776e0a8407c80146058bbf05808080808020049701ac028907d80404b7010adf065a"},
		"no errors": {func(c *Cell) {
			c.Calls, c.Requests = 900, 800
			c.Errors, c.ProviderErrors, c.RequestErrors, c.failedMin, c.failedMax = 0, 0, 0, 0, 0
			c.categories, c.failures = nil, distribution{}
		}, "3e8407a006c80146058bbf0580808080802003049701ac028907d804"},
		"errors only": {func(c *Cell) {
			c.Calls, c.Requests, c.Samples = c.Errors, c.RequestErrors, 90
			c.min, c.max, c.sum, c.successes = 0, 0, uint128{}, distribution{}
		}, "0f64643c3207f9f004030328043200036f776e0a325a4604b7010adf065a"},
	} {
		c := unlike()
		if !slices.Contains([]string{"all of it", "not sent", "cut off"}, what) {
			plain(c)
		}
		test.change(c)
		packed := c.AppendPacked(nil, names)
		if got := hex.EncodeToString(packed); got != test.packed {
			t.Errorf("%s: packed %s, want %s", what, got, test.packed)
		}
		if got := roundTrip(c); !reflect.DeepEqual(got, c) {
			t.Errorf("%s: %+v came back as %+v", what, c, got)
		}
		var ranges Cell
		ranges.readRanges(packed)
		want := Cell{min: c.min, max: c.max, failedMin: c.failedMin, failedMax: c.failedMax}
		want.Calls, want.Errors, want.CutOff = c.Calls, c.Errors, c.CutOff
		if !reflect.DeepEqual(ranges, want) {
			t.Errorf("%s: the ranges are %+v, want %+v", what, ranges, want)
		}
	}
	for _, l := range leaf.All(new(Cell)) { // slices are empty there
		c := unlike()
		for _, own := range leaf.All(c) {
			if own.Path == l.Path {
				l = own
			}
		}
		if l.Change(); bytes.Equal(c.AppendPacked(nil, names), unlike().AppendPacked(nil, names)) {
			t.Errorf("packed, a cell does not tell %s", l.Path)
		}
	}
}

// TestPlausible: each thing that cannot be keeps bytes from being a cell, alone.
func TestPlausible(t *testing.T) {
	const all = packErrors | packRequests | packSamples | packFailovers | packSuccesses | packHighSum | packOthers
	for what, test := range map[string]struct {
		change func(c *Cell)
		flags  byte
	}{
		"unknown part":                 {func(*Cell) {}, all | 1<<7},
		"no samples":                   {func(c *Cell) { c.Samples = 0 }, all},
		"samples without calls":        {func(c *Cell) { *c = Cell{Sums: Sums{Counts: Counts{NotSent: 1, Samples: 1}}} }, packOthers},
		"more cut off than calls":      {func(c *Cell) { c.CutOff = c.Calls - c.Errors + 1 }, all},
		"more hedges than calls":       {func(c *Cell) { c.Hedges = c.Calls + 1 }, all},
		"more won than hedges":         {func(c *Cell) { c.HedgeWins = c.Hedges + 1 }, all},
		"more won than requests":       {func(c *Cell) { c.Requests, c.RequestErrors, c.HedgeWins = 20, 0, 21 }, all},
		"more won than successes":      {func(c *Cell) { c.CutOff = c.Calls - c.Errors - 20 }, all},
		"rare things without a part":   {func(*Cell) {}, all &^ packOthers},
		"a part of rare things":        {plain, all},
		"more samples than calls":      {func(c *Cell) { c.Samples = c.Calls + 1 }, all},
		"more errors than calls":       {func(c *Cell) { c.Errors = c.Calls + 1 }, all &^ packSuccesses},
		"more faults than errors":      {func(c *Cell) { c.ProviderErrors = c.Errors + 1 }, all},
		"more requests than calls":     {func(c *Cell) { c.Requests = c.Calls + 1 }, all},
		"more failed than requests":    {func(c *Cell) { c.Requests = c.RequestErrors - 1 }, all},
		"more failed than errors":      {func(c *Cell) { c.RequestErrors = c.Errors + 1 }, all},
		"min above max":                {func(c *Cell) { c.min = c.max + 1 }, all},
		"max too great":                {func(c *Cell) { c.max = MaxMicros + 1 }, all},
		"failed min above max":         {func(c *Cell) { c.failedMin = c.failedMax + 1 }, all},
		"failed max too great":         {func(c *Cell) { c.failedMax = MaxMicros + 1 }, all},
		"successes without their part": {func(*Cell) {}, all &^ packSuccesses},
		"errors without their part":    {func(*Cell) {}, all &^ packErrors},
		"a sum too great":              {func(c *Cell) { c.sum.high = c.Successes() }, all},
	} {
		c := unlike()
		if test.change(c); c.plausible(test.flags) {
			t.Errorf("%s is plausible", what)
		}
	}
	names := NewCategories()
	names.ID("own")
	c, got := unlike(), new(Cell)
	if !c.plausible(all) {
		t.Error("what is plausible is not")
	}
	c.Samples = 0
	if got.Unpack(c.AppendPacked(nil, names), names) == nil || got.Calls > 0 {
		t.Errorf("an implausible cell is %+v", got)
	}
}

// TestNamesOfCategories: what another node calls a category is judged as the names in
// events are.
func TestNamesOfCategories(t *testing.T) {
	for name, ok := range map[string]bool{
		"base": true, "eip155:1.x_y@z#=+~-": true, ids.Other: true, strings.Repeat("a", 128): true,
		"__x": false, "a b": false, "a/b": false, "a,b": false, "a\nb": false, "a\x7f": false, "\x1b[2J": false,
		"é": false, "\xff": false, "<script>": false, strings.Repeat("a", 129): false,
	} {
		var o Open
		names := NewCategories()
		o.Add(&Call{Micros: 1, Bucket: uint16(BucketOf(1)), Weight: 1, Result: Failure, Category: names.ID(name)})
		var c Cell
		if err := c.Unpack(o.Flush().AppendPacked(nil, names), NewCategories()); (err == nil) != ok {
			t.Errorf("%q as category: %v", name, err)
		}
	}
}

// TestDamaged: bytes that are not those of a cell are refused, and leave nothing.
func TestDamaged(t *testing.T) {
	long := func(v byte) []byte { return append(append([]byte{v | 0x80}, bytes.Repeat([]byte{0x80}, 8)...), 0) }
	const n = maxPacked / 20
	huge := binary.AppendUvarint([]byte{packErrors}, n)
	huge = append(binary.AppendUvarint(huge, n), 0, 0, 0, 0)
	huge = binary.AppendUvarint(huge, n)
	for range n {
		huge = append(append(huge, long(1)...), long(1)...)
	}
	huge = binary.AppendUvarint(append(huge, 1<<1, 1<<1|1), n)
	names := NewCategories()
	names.ID("own")
	whole := unlike().AppendPacked(nil, names)
	for what, packed := range map[string][]byte{
		"nothing": nil, "cut": whole[:len(whole)-1], "more than a cell": append(slices.Clone(whole), 0), "huge": huge,
	} {
		var c Cell
		if err := c.Unpack(packed, names); err == nil || c.Calls > 0 {
			t.Errorf("%s: taken as %+v", what, c)
		}
	}
}

// FuzzUnpack gives unpack any bytes: it answers with an error or with a cell
// that packs to something that unpacks to the same again.
func FuzzUnpack(f *testing.F) {
	names := NewCategories()
	f.Add([]byte{})
	for result := range NumResults {
		l := Open{}
		l.Add(&Call{Micros: 45_000, Bucket: uint16(BucketOf(45_000)), Weight: 3, Failovers: 2, Final: true, Result: result, Hedge: result != Failure, Category: names.ID("own_category")})
		f.Add(l.Flush().AppendPacked(nil, names))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		var c, again Cell
		if c.Unpack(packed, names) != nil {
			return
		}
		canonical := c.AppendPacked(nil, names)
		if err := again.Unpack(canonical, names); err != nil {
			t.Fatalf("%x unpacks, but packs to %x: %v", packed, canonical, err)
		}
		if twice := again.AppendPacked(nil, names); string(twice) != string(canonical) {
			t.Fatalf("%x and then %x", canonical, twice)
		}
	})
}
