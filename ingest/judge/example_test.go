package judge_test

import (
	"fmt"

	"remuda/ingest/judge"
	"remuda/store"
)

// A decoder says what an event has; the verdict fills in the rest, or says what is wrong.
func Example() {
	s, err := store.New(store.Options{})
	if err != nil {
		panic(err)
	}
	c := judge.New(judge.Setting{Node: "iad", Region: "us-east-1", Chains: s.Chains()})
	c.Start(s.Now())
	for _, height := range []uint64{19_123_456, 0} {
		c.Open(judge.Members{})
		c.Event = &store.Event{Kind: store.Block, Chain: c.ChainName("eip155:8453"), ProviderID: "ankr_1"}
		c.Present |= 1<<judge.Chain | 1<<judge.ProviderID
		if height > 0 {
			c.Event.Height = c.Count(judge.Height, height, "")
			c.Present |= 1 << judge.Height
		}
		if fault, _ := c.Verdict(); fault.Code != "" {
			fmt.Println(fault.Name(), "is", fault.Code)
			continue
		}
		fmt.Println(c.Event.ProviderID, "is at", c.Event.Height, "on", c.Event.Chain, "says", c.Event.SourceNode)
	}
	// Output:
	// ankr_1 is at 19123456 on base says iad
	// height is missing
}
