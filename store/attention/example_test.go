package attention_test

import (
	"fmt"
	"log"

	"remuda/store"
	"remuda/store/attention"
	"remuda/store/cell"
)

// A provider fails, and is all that its chain has.
func Example() {
	s, err := store.New(store.Options{})
	if err != nil {
		log.Fatal(err)
	}
	s.Apply([]store.Event{{
		TS: s.Now(), Profile: "default", Chain: "base", ProviderID: "acme", Method: "eth_call", Strategy: "fastest", SourceNode: "gw",
		SourceRegion: "iad", Weight: 30, Result: cell.Failure, ErrorCategory: "timeout",
	}})
	var episodes attention.Episodes // one for all watches of the store
	watch := attention.New(s, &episodes, store.Filter{}, cell.Window1m)
	_, alarms := watch.Refresh()
	for _, a := range alarms {
		fmt.Printf("%s %s: %s, %d calls\n", a.Severity, a.Key, a.Detail, a.Calls)
	}
	// Output:
	// critical chain/base: all 1 providers have an open circuit or fail, 30 calls
	// critical provider/base/acme: availability 0.00 %, 30 calls
}
