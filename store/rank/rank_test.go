package rank_test

import (
	"fmt"
	"log"

	"remuda/store"
	"remuda/store/cell"
	"remuda/store/rank"
)

// A hundred calls tell more than thirty, errors that are the provider's count, and five
// calls tell nothing. Of a hundred without error the interval begins at
// 100/(100+1.96²) = 0.963; times 1000/(1000+100 ms) that is 0.875.
func ExampleProviders() {
	s, err := store.New(store.Options{})
	if err != nil {
		log.Fatal(err)
	}
	calls := func(provider string, n int, failed string) {
		result := cell.Success
		if failed != "" {
			result = cell.Failure
		}
		for range n {
			s.Apply([]store.Event{{
				TS: s.Now(), Profile: "default", Chain: "base", ProviderID: provider, Method: "eth_call", Strategy: "fastest",
				SourceNode: "gw", SourceRegion: "iad", Weight: 1, DurationMicros: 100_000, UpstreamMicros: 100_000,
				Result: result, ErrorCategory: failed,
			}})
		}
	}
	calls("many", 100, "")
	calls("some", 30, "")
	calls("reverts", 80, "")
	calls("reverts", 20, "execution_revert")
	calls("fails", 80, "")
	calls("fails", 20, "timeout")
	calls("few", 5, "")
	for _, row := range rank.Providers(s, rank.Query{Filter: store.Filter{store.ChainDim: {"base"}}, Window: cell.Window1m}) {
		fmt.Printf("%-8s%.3f %v %v\n", row.ProviderID, row.Score, row.Eligible, row.Reasons)
	}
	// Output:
	// many    0.875 true []
	// reverts 0.875 true []
	// some    0.806 true []
	// fails   0.647 true []
	// few     0.000 true [cold_start]
}
