package httpapi

import (
	"fmt"
	"testing"
)

// TestDeltasKept: as many as there may be while they are short, and never more bytes
// than a snapshot has, but for the newest.
func TestDeltasKept(t *testing.T) {
	for _, c := range []struct{ whole, each, kept int }{
		{600, 300, framesKept},
		{600, 600, leastKept / 600},
		{25_000, 25_000, leastKept / 25_000},
		{500_000, 25_000, 20},
		{100, 25_000, leastKept / 25_000}, // a snapshot that grew
		{6 << 20, 100_000, mostKept / 100_000},
		{6 << 20, 6 << 20, 1},
	} {
		v := view{whole: c.whole}
		for i := range 2 * framesKept {
			v.keep(&frame{sequence: uint64(i), data: make([]byte, c.each)})
		}
		held := 0
		for _, d := range v.deltas {
			held += len(d.data)
		}
		if len(v.deltas) != c.kept || held != v.held || v.deltas[len(v.deltas)-1].sequence != 2*framesKept-1 {
			t.Errorf("%+v: %d deltas are kept, %d bytes (%d by its own account)", c, len(v.deltas), held, v.held)
		}
	}
}

// TestQueriesKept: a query is parsed once, a wrong one and one that the path is part
// of every time, and what is kept is bounded.
func TestQueriesKept(t *testing.T) {
	var q queries
	parse := func(res *resource, raw string) *asked {
		a, err := q.parse(res, raw)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := parse(providersResource, "window=5m")
	if b := parse(providersResource, "window=5m"); a != b || b.Canonical == parse(providersResource, "window=1h").Canonical {
		t.Error("the same query was parsed again, or another was not")
	}
	if one, another := parse(providerResource, "window=5m"), parse(providerResource, "window=5m"); one == another {
		t.Error("a query is shared by two providers")
	}
	if _, err := q.parse(providersResource, "window=5h"); err == nil || len(q.known) != 2 {
		t.Errorf("%v, %d queries are kept", err, len(q.known))
	}
	for i := range 2 * queriesKept {
		parse(providersResource, fmt.Sprint("limit=", i+1))
	}
	if len(q.known) > queriesKept {
		t.Errorf("%d queries are kept", len(q.known))
	}
}
