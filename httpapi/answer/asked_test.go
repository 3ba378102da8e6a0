package answer

import (
	"fmt"
	"testing"
)

// TestQueriesKept: a query is parsed once, a wrong one and one that the path is part
// of every time, and what is kept is bounded.
func TestQueriesKept(t *testing.T) {
	var q queries
	parse := func(res *Resource, raw string) *Asked {
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
