package fair

import (
	"fmt"
	"testing"
)

// thing is the number of a put and its region.
type thing struct {
	region string
	n      int
}

func regions(r *Ring[thing]) map[string][]int {
	all := make(map[string][]int)
	r.Each(func(t *thing) bool {
		all[t.region] = append(all[t.region], t.n)
		return true
	})
	return all
}

func ExampleRing() {
	var r Ring[string]
	for range 3 * Kept {
		r.Put("busy", "call")
	}
	r.Put("calm", "the only one")
	busy := 0
	r.Each(func(thing *string) bool {
		if *thing == "call" {
			busy++
		}
		return true
	})
	fmt.Println(busy, r.Has("calm", func(thing *string) bool { return *thing == "the only one" }))
	// Output: 999 true
}

// TestRing: regions share what is kept, the newest of each are there, newest first, and it
// is told when enough of one was seen.
func TestRing(t *testing.T) {
	var r Ring[thing]
	for n := range 2000 {
		r.Put("a", thing{"a", n})
	}
	for n := range 300 {
		r.Put("b", thing{"b", n})
	}
	for n := 2000; n < 3000; n++ {
		r.Put("a", thing{"a", n})
	}
	all := regions(&r)
	if len(all["a"]) != 700 || len(all["b"]) != 300 {
		t.Fatalf("%d and %d", len(all["a"]), len(all["b"]))
	}
	for i, n := range all["a"] {
		if n != 2999-i {
			t.Fatalf("%d is number %d", n, i)
		}
	}
	for n := range 900 {
		r.Put("b", thing{"b", 300 + n})
	}
	if all = regions(&r); len(all["a"]) != 500 || len(all["b"]) != 500 {
		t.Errorf("%d and %d", len(all["a"]), len(all["b"]))
	}
	seen := 0
	r.Each(func(*thing) bool { seen++; return seen%3 > 0 })
	if seen != 6 {
		t.Errorf("%d were seen of two regions, when of each three were wanted", seen)
	}
	is := func(n int) func(*thing) bool { return func(t *thing) bool { return t.n == n } }
	if !r.Has("a", is(2500)) || r.Has("a", is(2499)) || r.Has("b", is(2500)) {
		t.Error("what is there is not what was kept")
	}
}

// TestRingBeyondRegions: more regions than are told apart share one, and nothing is lost
// track of.
func TestRingBeyondRegions(t *testing.T) {
	var r Ring[thing]
	for n := range 5000 {
		region := fmt.Sprint("r", n%500)
		r.Put(region, thing{region, n})
	}
	kept := 0
	r.Each(func(*thing) bool { kept++; return true })
	if kept != Kept || len(r.queues) > MaxRegions+1 {
		t.Errorf("%d are kept, of %d regions", kept, len(r.queues))
	}
	if !r.Has("r499", func(x *thing) bool { return x.n == 4999 }) {
		t.Error("the newest is not there")
	}
}

func enter(g *Gate, kind, n int) (entered int) {
	for range n {
		if g.Enter(kind) {
			entered++
		}
	}
	return entered
}

func TestGates(t *testing.T) {
	var g Gates
	const at = 1_800_000_000
	if got := g.Of("a", at).Left(); got != [Kinds]int{Burst, Burst} {
		t.Fatalf("%v after a rest", got)
	}
	if n := enter(g.Of("a", at), 0, 3000); n != Burst {
		t.Errorf("%d enter at once", n)
	}
	if n := enter(g.Of("a", at), 1, 10); n != 10 {
		t.Errorf("of the other kind %d of 10", n)
	}
	if n := enter(g.Of("a", at+1), 0, 3000); n != PerSecond {
		t.Errorf("%d in the next second", n)
	}
	if n := enter(g.Of("b", at+1), 0, 3000); n != Burst/2 {
		t.Errorf("%d of another region", n)
	}
	if n := enter(g.Of("a", at+2), 0, 3000); n != PerSecond/2 {
		t.Errorf("%d of one of two", n)
	}
	for i := range 5000 {
		if n := enter(g.Of(fmt.Sprint("r", i), at+2), 0, 1); i < 60 && n != 1 {
			t.Errorf("nothing enters of region %d", i)
		}
	}
	if len(g.byRegion) > MaxRegions+1 {
		t.Errorf("%d gates", len(g.byRegion))
	}
	g.Of("late", at+2+idle+1)
	if len(g.byRegion) != 1 {
		t.Errorf("%d gates after two minutes", len(g.byRegion))
	}
}
