package store

import "testing"

// TestChainAliases: a name more, another name for a known chain, and what would make
// one chain of two.
func TestChainAliases(t *testing.T) {
	for name, c := range map[string]struct {
		aliases map[string]string
		want    map[string]string // what the spellings are called; nil when it is refused
	}{
		"none":             {nil, map[string]string{"8453": "base", "0x2105": "base", "base": "base", "4242": "4242"}},
		"one more":         {map[string]string{"0x1092": "mine"}, map[string]string{"4242": "mine", "eip155:4242": "mine", "evm:10": "optimism"}},
		"another name":     {map[string]string{"eip155:1": "ethereum_mainnet"}, map[string]string{"1": "ethereum_mainnet", "ethereum": "ethereum"}},
		"names change":     {map[string]string{"1": "base", "8453": "ethereum"}, map[string]string{"1": "base", "8453": "ethereum"}},
		"the same again":   {map[string]string{"8453": "base"}, map[string]string{"8453": "base"}},
		"no number":        {map[string]string{"mainnet": "ethereum"}, nil},
		"no name":          {map[string]string{"4242": ""}, nil},
		"a bad name":       {map[string]string{"4242": "a b"}, nil},
		"a reserved name":  {map[string]string{"4242": "__other__"}, nil},
		"a number as name": {map[string]string{"4242": "0x2105"}, nil},
		"a name twice":     {map[string]string{"4242": "base"}, nil},
	} {
		s, err := New(Options{ChainAliases: c.aliases, DedupBytes: 1 << 20})
		if (err != nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for spelled, want := range c.want {
			if got := s.Chains().Called(spelled); got != want {
				t.Errorf("%s: %s is called %s, want %s", name, spelled, got, want)
			}
		}
	}
	if len(chainNames) != 40 {
		t.Errorf("%d chains have names; the documents say forty", len(chainNames))
	}
}
