package cell

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
	"remuda/store/internal/leaf"
)

// TestEveryFieldOfACell: an empty cell, one that another is merged into, and one from
// which it is taken away again.
func TestEveryFieldOfACell(t *testing.T) {
	c := unlike()
	var merged Cell
	if merged.Merge(c); !reflect.DeepEqual(&merged, c) {
		t.Errorf("%+v merged into nothing is %+v", c, merged)
	}
	merged.Merge(c)
	for i, l := range leaf.All(&merged.Sums) {
		if one := leaf.All(&c.Sums)[i]; l.Uint() != 2*one.Uint() {
			t.Errorf("twice %s is %d", one.Path, l.Uint())
		}
	}
	if merged.successes.counts[0] != 2*c.successes.counts[0] || merged.failures.counts[0] != 2*c.failures.counts[0] ||
		merged.cutOffs.counts[0] != 2*c.cutOffs.counts[0] || merged.categories[0].count != 80 {
		t.Errorf("twice %+v is %+v", c, merged)
	}
	if merged.Subtract(c); !reflect.DeepEqual(&merged, c) {
		t.Errorf("taken away once: %+v, want %+v", merged, c)
	}
	merged.Subtract(c)
	for _, l := range leaf.All(&merged) {
		if l.Path != ".successes.first" && l.Path != ".failures.first" && l.Path != ".cutOffs.first" && !l.IsZero() {
			t.Errorf("taken away twice, %s is %v", l.Path, l)
		}
	}
	others := &Cell{Sums: Sums{Counts: Counts{Calls: 1, Errors: 1, Samples: 1}}, failedMin: 10, failedMax: 11, categories: []categoryCount{{9, 1}}}
	others.failures.add(BucketOf(80_000), 1)
	if merged.Merge(c); merged.Empty() {
		t.Fatal("nothing is merged")
	}
	if merged.Merge(others); merged.min != c.min || merged.failedMin != c.failedMin {
		t.Errorf("with a failure more it is %+v", merged)
	}
	if merged.Subtract(others); !reflect.DeepEqual(&merged, c) {
		t.Errorf("taken away: %+v, want %+v", merged, c)
	}
	successes := &Cell{Sums: Sums{Counts: Counts{Calls: 1, Samples: 1}}, min: 10, max: 11, categories: []categoryCount{{1, 1}}}
	if merged.Merge(&Cell{Sums: Sums{Counts: successes.Counts}, min: 10, max: 11}); merged.min != c.min || merged.failedMin != c.failedMin {
		t.Errorf("with a success more it is %+v", merged)
	}
	if merged.Subtract(successes); !reflect.DeepEqual(&merged, c) { // a category that is not there
		t.Errorf("taken away: %+v, want %+v", merged, c)
	}
	merged.Reset()
	for _, l := range leaf.All(&merged) {
		if l.Path != ".successes.first" && l.Path != ".failures.first" && l.Path != ".cutOffs.first" && !l.IsZero() {
			t.Errorf("reset, %s is %v", l.Path, l)
		}
	}
	for what, other := range map[string]*Cell{
		"below and above": {min: 1, max: 100_000, failedMin: 1, failedMax: 100_000, Sums: Sums{Counts: Counts{Calls: 2, Errors: 1, Samples: 2}}},
		"within":          {min: 6, max: 7, failedMin: 8, failedMax: 9, Sums: Sums{Counts: Counts{Calls: 2, Errors: 1, Samples: 2}}},
	} {
		sum := unlike()
		sum.Merge(other)
		if sum.min != min(c.min, other.min) || sum.max != max(c.max, other.max) ||
			sum.failedMin != min(c.failedMin, other.failedMin) || sum.failedMax != max(c.failedMax, other.failedMax) {
			t.Errorf("%s: from %d to %d, failures from %d to %d", what, sum.min, sum.max, sum.failedMin, sum.failedMax)
		}
	}
}

// TestRescan: when one of the least and greatest latencies leaves, they are looked for.
func TestRescan(t *testing.T) {
	for what, test := range map[string]struct {
		change func(o *Cell)
		want   bool
	}{
		"within":              {func(*Cell) {}, false},
		"the least":           {func(o *Cell) { o.min = 5 }, true},
		"the greatest":        {func(o *Cell) { o.max = 90_000 }, true},
		"the least failed":    {func(o *Cell) { o.failedMin = 7 }, true},
		"the greatest failed": {func(o *Cell) { o.failedMax = 80_000 }, true},
		"nothing but cut off": {func(o *Cell) { o.CutOff, o.Errors, o.min, o.max, o.cutOffs = 2, 0, 0, 90_000, new(distribution) }, false},
		"no success":          {func(o *Cell) { o.Errors, o.min, o.max = o.Calls, 0, 90_000 }, false},
		"no failure":          {func(o *Cell) { o.Errors, o.failedMin, o.failedMax = 0, 0, 80_000 }, false},
	} {
		o := &Cell{min: 10, max: 100, failedMin: 10, failedMax: 100, Sums: Sums{Counts: Counts{Calls: 2, Errors: 1, Samples: 2}}}
		test.change(o)
		if got := unlike().Subtract(o); got != test.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// TestCellsAddUp: merging in any order gives the same bytes, packing loses
// nothing, and what was added can be taken away.
func TestCellsAddUp(t *testing.T) {
	names := NewCategories()
	genCall := rapid.Custom(func(t *rapid.T) Call {
		k := Call{
			Micros: rapid.Uint64Range(0, MaxMicros).Draw(t, "micros"), Weight: uint32(rapid.IntRange(1, 1_000_000).Draw(t, "weight")),
			Failovers: uint32(rapid.IntRange(0, 16).Draw(t, "failovers")), Result: Result(rapid.IntRange(0, int(NumResults)-1).Draw(t, "result")), Final: rapid.Bool().Draw(t, "final"),
			Hedge: rapid.Bool().Draw(t, "hedge"),
		}
		if k.Result == Failure {
			k.Category = names.ID(rapid.SampledFrom([]string{"", "timeout", "own_a", "own_b", "rate_limit"}).Draw(t, "category"))
			k.ProviderFault = !names.Blameless(k.Category)
		}
		if !k.Final {
			k.Failovers = 0
		}
		k.Bucket = uint16(BucketOf(k.Micros))
		return k
	})
	rapid.Check(t, func(t *rapid.T) {
		lists := rapid.SliceOfN(rapid.SliceOfN(genCall, 1, 40), 1, 6).Draw(t, "cells")
		packed := make([][]byte, len(lists))
		for i, list := range lists {
			l := Open{}
			for j := range list {
				l.Add(&list[j])
			}
			packed[i] = l.Flush().AppendPacked(nil, names)
		}
		sum := func(order []int) *Cell {
			var s Cell
			for _, i := range order {
				var c Cell
				if err := c.Unpack(packed[i], names); err != nil {
					t.Fatalf("cell %x: %v", packed[i], err)
				}
				s.Merge(&c)
			}
			return &s
		}
		order := make([]int, len(lists))
		for i := range order {
			order[i] = i
		}
		want := string(sum(order).AppendPacked(nil, names))
		shuffled := rapid.Permutation(order).Draw(t, "order")
		s := sum(shuffled)
		if got := string(s.AppendPacked(nil, names)); got != want {
			t.Fatalf("%v gives %x, want %x", shuffled, got, want)
		}
		for _, i := range shuffled[1:] {
			var c Cell
			if err := c.Unpack(packed[i], names); err != nil {
				t.Fatal(err)
			}
			s.Subtract(&c)
		}
		alone := sum(shuffled[:1])
		s.min, s.max = alone.min, alone.max // which subtraction cannot know
		s.failedMin, s.failedMax = alone.failedMin, alone.failedMax
		if got, want := string(s.AppendPacked(nil, names)), string(alone.AppendPacked(nil, names)); got != want {
			t.Fatalf("after taking away %x, want %x", got, want)
		}
	})
}
