package store_test

import (
	"fmt"
	"log"
	"time"

	"remuda/store"
	"remuda/store/cell"
)

// reported is a store that a gateway in iad has told something of the chain base.
func reported(events ...store.Event) *store.Store {
	s, err := store.New(store.Options{Now: func() time.Time { return time.UnixMilli(1_800_000_000_000) }})
	if err != nil {
		log.Fatal(err)
	}
	for i := range events {
		e := &events[i]
		e.TS, e.Profile, e.Chain, e.SourceNode, e.SourceRegion = s.Now(), "default", "base", "gateway@iad", "iad"
	}
	s.Apply(events)
	return s
}

// What a provider's height is worth is known by what the others say.
func ExampleStore_Blocks() {
	s := reported(
		store.Event{Kind: store.Block, ProviderID: "alchemy", Height: 1000, HeightSource: store.HeightFromWS},
		store.Event{Kind: store.Block, ProviderID: "drpc", Height: 1000, HeightSource: store.HeightFromWS},
		store.Event{Kind: store.Block, ProviderID: "llamarpc", Height: 988, HeightSource: store.HeightFromWS},
	)
	for _, b := range s.Blocks(store.Filter{store.ProfileDim: {"default"}}) {
		fmt.Println(b.Key, b.Height, b.LagBlocks)
	}
	// Output:
	// base/alchemy/iad/gateway@iad 1000 0
	// base/drpc/iad/gateway@iad 1000 0
	// base/llamarpc/iad/gateway@iad 988 -12
}

// A circuit stands until its sender says otherwise, or is not heard of for five minutes.
func ExampleStore_CircuitChanges() {
	s := reported(store.Event{Kind: store.Circuit, ProviderID: "drpc", From: store.CircuitClosed, To: store.CircuitOpen, Reason: "timeouts"})
	for _, c := range s.CircuitChanges(store.Filter{}) {
		fmt.Println(c.ProviderID, c.From, c.To, c.Reason)
	}
	for _, c := range s.Circuits(store.Filter{}) {
		fmt.Println(c.ProviderID, c.State, c.Stale)
	}
	// Output:
	// drpc closed open timeouts
	// drpc open false
}

// The feed is a sample of decisions, and says of how many.
func ExampleStore_Decisions() {
	s := reported(
		store.Event{ProviderID: "alchemy", Method: "eth_call", Weight: 1, RequestID: "1"},
		store.Event{ProviderID: "drpc", Method: "eth_call", Weight: 1, RequestID: "2", Result: cell.Failure, ErrorCategory: "timeout"},
	)
	page := s.Decisions(store.DecisionQuery{Results: []cell.Result{cell.Failure}})
	fmt.Println(page.Rows[0].ProviderID, page.Rows[0].ErrorCategory, page.Shown, page.Seen)
	// Output: drpc timeout 2 2
}
