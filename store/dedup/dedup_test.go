package dedup

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestPeriod: a repeat is found for 120 s, and forgotten after 240 s.
func TestPeriod(t *testing.T) {
	for offset := int64(0); offset < 120_000; offset += 7_000 {
		for age, want := range map[int64]bool{1: true, 60_000: true, 119_999: true, 240_001: false, 900_000: false} {
			d := New(64<<20, 0)
			sh := &d.shards[0]
			see := func(identity uint64, now int64) bool {
				sh.prepare(now)
				return sh.seen(identity, d.maxLines, now)
			}
			see(42<<8, offset)
			for now := offset; now < offset+age; now += 5000 {
				see(uint64(now)<<10, now) // other traffic turns the generations
			}
			if got := see(42<<8, offset+age); got != want {
				t.Errorf("seen at %d ms, again after %d ms: %v", offset, age, got)
			}
		}
	}
}

// TestUnderItsCap: memory stays below the cap, the newest identities are
// found, and the period that is left is told.
func TestUnderItsCap(t *testing.T) {
	const memory = 1 << 20
	d := New(memory, 0)
	rng := rand.New(rand.NewPCG(1, 1))
	var recent []uint64
	for i := range 400_000 {
		now := int64(i) // a thousand a second
		identity := rng.Uint64()
		sh := &d.shards[shardOf(identity)]
		sh.prepare(now)
		if sh.seen(identity, d.maxLines, now) {
			t.Fatal("seen, but it is new")
		}
		recent = append(recent, identity)
		if len(recent) > 10_000 {
			old := recent[len(recent)-10_000]
			if sh := &d.shards[shardOf(old)]; !sh.seen(old, d.maxLines, now) {
				t.Fatalf("after %d: one of the last 10,000 is not found", i)
			}
		}
	}
	bytes, identities, period := d.Usage()
	if bytes > memory || identities < 15_000 || period < 10*time.Second || period >= fullPeriod {
		t.Errorf("%d bytes, %d identities, period %v", bytes, identities, period)
	}
}

// TestBatch: what is looked up together is found as what is looked up alone, in batches of
// any size, and equal ones of a batch are repeats of the first.
func TestBatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	s, alone := New(1<<20, 0), New(1<<20, 0)
	var b Batch
	for now := range int64(200) {
		b.Reset()
		for i := range rng.IntN(300) {
			b.Add(rng.Uint64()%20_000*0x9e3779b97f4a7c15, int32(i))
		}
		repeated := make(map[int32]bool)
		n := s.See(&b, now, func(event int32) { repeated[event] = true })
		if n != len(repeated) {
			t.Fatalf("%d repeats, %d told", n, len(repeated))
		}
		for _, id := range b.Identities() {
			if got := alone.SeeOne(id.Hash, now); got != repeated[id.Event] {
				t.Fatalf("at %d, event %d was seen alone: %v, in the batch: %v", now, id.Event, got, repeated[id.Event])
			}
		}
	}
}

// TestBody: the n-th of equal identities is the n-th however the body was cut into parts,
// and whether the first parts were looked through or only noted.
func TestBody(t *testing.T) {
	identities := []uint64{7, 8, 7, 7, 9, 8, 7}
	want := []uint64{0, 0, 1, 2, 0, 1, 3}
	for noted := range identities {
		var y Body
		for range 2 { // a body can be used again
			var b Batch
			for _, hash := range identities[:noted] {
				b.Add(hash, 0)
			}
			y.Note(&b)
			for i, hash := range identities[noted:] {
				if got := y.Nth(hash); got != want[noted+i] {
					t.Errorf("%d noted: the one at %d is the one after %d, want %d", noted, noted+i, got, want[noted+i])
				}
			}
			y.Reset()
		}
	}
}

// TestFold: the order of what is folded counts, and another set folds otherwise.
func TestFold(t *testing.T) {
	a, b := New(1<<20, 0), New(1<<20, 0)
	if x := a.Fold(1, 2); x == a.Fold(2, 1) || x == b.Fold(1, 2) || x != a.Fold(1, 2) {
		t.Error("what is folded can be told")
	}
}

// Example has a set tell what was seen before.
func Example() {
	s := New(1<<20, 0)
	var b Batch
	for event, hash := range []uint64{11, 12, 11} {
		b.Add(hash, int32(event))
	}
	n := s.See(&b, 1000, func(event int32) { fmt.Println("repeated:", event) })
	fmt.Println(n, s.SeeOne(12, 100_000), s.SeeOne(12, 400_000))
	// Output:
	// repeated: 2
	// 1 true false
}
