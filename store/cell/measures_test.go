package cell

import (
	"reflect"
	"testing"

	"remuda/store/internal/leaf"
)

// numbered are counts in which every figure is another: from, from+1, and so on.
func numbered(from uint64) *Sums {
	c := new(Sums)
	for i, l := range leaf.All(c) {
		l.SetUint(from + uint64(i))
	}
	return c
}

// TestMeasures: every figure is one of Measures, and is merged, taken away and listed.
func TestMeasures(t *testing.T) {
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
	sum.Merge(numbered(50))
	for i, l := range leaf.All(sum) {
		if got, want := l.Uint(), 1050+2*uint64(i); got != want {
			t.Errorf("merged, %s is %d, want %d", l.Path, got, want)
		}
	}
	if sum.Subtract(numbered(50)); *sum != *numbered(1000) {
		t.Errorf("merged and taken away: %+v", sum)
	}

	var set Sums
	if set.SetLifetime(numbered(10).Lifetime()); set != *numbered(10) {
		t.Errorf("listed and set: %+v", set)
	}
	for i := range leaf.All(new(Sums)) {
		c := numbered(10)
		l := leaf.All(c)[i]
		if l.Change(); c.Lifetime() == numbered(10).Lifetime() {
			t.Errorf("the list has no %s", l.Path)
		}
	}
}
