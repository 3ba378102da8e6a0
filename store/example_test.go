package store_test

import (
	"fmt"
	"log"

	"remuda/store"
	"remuda/store/cell"
)

// Events are applied, a table is kept up to date. The second event of the same id is a
// duplicate, and what the table gives at the second refresh is what has changed.
func Example() {
	s, err := store.New(store.Options{Node: "a"})
	if err != nil {
		log.Fatal(err)
	}
	call := func(provider, id string, millis uint64) store.Event {
		return store.Event{
			TS: s.Now(), EventID: id, Profile: "default", Chain: "base", ProviderID: provider, Method: "eth_call", Strategy: "fastest",
			SourceNode: "gw", SourceRegion: "iad", Weight: 1, DurationMicros: millis * 1000, UpstreamMicros: millis * 1000,
		}
	}
	receipt := s.Apply([]store.Event{call("acme", "1", 40), call("acme", "1", 40), call("other", "2", 60)})
	fmt.Println(receipt.Accepted, "accepted,", receipt.Duplicates, "duplicate")

	table := s.NewTable(store.Query{By: []store.Dim{store.ChainDim, store.ProviderDim}, Window: cell.Window1m})
	table.Refresh()
	for _, row := range table.Rows() {
		fmt.Println(row.Key, row.Calls, "calls,", row.P95, "µs")
	}
	s.Apply([]store.Event{call("acme", "3", 40)})
	changed, _ := table.Refresh()
	fmt.Println(len(changed), "rows have changed: of the other it is what its calls are a share of")
	// Output:
	// 2 accepted, 1 duplicate
	// base/acme 1 calls, 40000 µs
	// base/other 1 calls, 60000 µs
	// 2 rows have changed: of the other it is what its calls are a share of
}
