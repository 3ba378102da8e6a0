package store

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"remuda/store/ids"
)

// chainNames are the names of the best-known chains by EIP-155 number, test nets as
// Lasso calls them.
var chainNames = map[uint64]string{
	1: "ethereum", 10: "optimism", 14: "flare", 25: "cronos", 30: "rootstock", 50: "xdc", 56: "bsc", 100: "gnosis",
	122: "fuse", 130: "unichain", 137: "polygon", 146: "sonic", 204: "opbnb", 250: "fantom", 252: "fraxtal", 324: "zksync",
	480: "worldchain", 1088: "metis", 1101: "polygon-zkevm", 1284: "moonbeam", 1329: "sei", 1868: "soneium", 2020: "ronin",
	5000: "mantle", 8217: "kaia", 8453: "base", 34443: "mode", 42161: "arbitrum", 42220: "celo", 43114: "avalanche",
	57073: "ink", 59144: "linea", 80094: "berachain", 81457: "blast", 534352: "scroll", 7777777: "zora",
	84532: "base-sepolia", 421614: "arbitrum-sepolia", 11155111: "ethereum-sepolia", 11155420: "optimism-sepolia",
}

// Chains says what chains are called: by one name, however they are spelled. It is safe
// for concurrent use.
type Chains struct{ names map[uint64]string }

// newChains adds names, by number in any spelling, to the built-in ones.
func newChains(aliases map[string]string) (*Chains, error) {
	c := &Chains{maps.Clone(chainNames)}
	for number, name := range aliases {
		id, ok := ChainID(number)
		switch _, isNumber := ChainID(name); {
		case !ok:
			return nil, fmt.Errorf("chain alias %q=%q: the first must be an EIP-155 number", number, name)
		case !ids.Valid(name) || isNumber:
			return nil, fmt.Errorf("chain alias %q=%q: a name has letters, digits and ._:@#=+~- only, at most 128, and is no number", number, name)
		}
		c.names[id] = name
	}
	ids := make(map[string]uint64, len(c.names))
	for id, name := range c.names {
		if other, ok := ids[name]; ok {
			return nil, fmt.Errorf("chain alias: %d and %d are both called %s", min(id, other), max(id, other), name)
		}
		ids[name] = id
	}
	return c, nil
}

// Name is what the chain of a number is called: the number itself when it has no name.
func (c *Chains) Name(id uint64) string {
	if name, ok := c.names[id]; ok {
		return name
	}
	return strconv.FormatUint(id, 10)
}

// Called is what a chain is called that is spelled as a number, in any way, or by name.
func (c *Chains) Called(text string) string {
	if id, ok := ChainID(text); ok {
		return c.Name(id)
	}
	return text
}

// maxChainID is what every JSON implementation keeps exact.
const maxChainID = 1 << 53

// ChainID reads an EIP-155 number as it is spelled: 8453, 0x2105, eip155:8453 (CAIP-2),
// evm:8453 (eRPC).
func ChainID(text string) (id uint64, ok bool) {
	if text == "" || text[0]-'0' > 9 && text[0] != 'e' { // Fast path: most names
		return 0, false
	}
	digits, base := text, 10
	for _, namespace := range [...]string{"eip155:", "evm:"} {
		if rest, found := strings.CutPrefix(digits, namespace); found {
			digits = rest
			break
		}
	}
	if rest, found := strings.CutPrefix(strings.ToLower(digits), "0x"); found {
		digits, base = rest, 16
	}
	id, err := strconv.ParseUint(digits, base, 64)
	return id, err == nil && id <= maxChainID
}
