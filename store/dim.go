package store

// Dim is a dimension that rows can be grouped and filtered by.
type Dim uint8

// The dimensions. Node is the remuda node that counted; the others belong to the event.
const (
	ProfileDim Dim = iota
	ChainDim
	ProviderDim
	MethodDim
	TransportDim
	StrategyDim
	RequestOriginDim
	RegionDim
	NodeDim
	NumDims
)

// dimensions say all that differs between them. Keys of series go between nodes: what
// says where a dimension is in them is part of the wire format.
var dimensions = [NumDims]struct {
	name string
	in   keyPart
	at   int // of the part: the how manieth string, or byte
	kept int // up to which level of overflow it is told apart, see overflowKey
}{
	ProfileDim:       {"profile", keyString, 0, 2},
	ChainDim:         {"chain", keyString, 1, 1},
	ProviderDim:      {"provider_id", keyString, 2, 1},
	MethodDim:        {"method", keyString, 3, 0},
	StrategyDim:      {"strategy", keyString, 4, 1},
	RegionDim:        {"region", keyString, 5, 1},
	TransportDim:     {"transport", keyByte, 0, 2},
	RequestOriginDim: {"request_origin", keyByte, 1, 2},
	NodeDim:          {name: "node"}, // of rows, not of series
}

// keyPart is the part of a key that a dimension is in.
type keyPart uint8

const (
	noKey     keyPart = iota
	keyString         // one of the strings, each followed by a zero byte
	keyByte           // one of the bytes behind them
)

// keyDims is how many dimensions are strings, keyTail how many are one byte each.
const (
	keyDims = 6
	keyTail = 2
)

// keyOrder is the order of the strings in a key.
var keyOrder = func() (order [keyDims]Dim) {
	for d, about := range dimensions {
		if about.in == keyString {
			order[about.at] = Dim(d)
		}
	}
	return order
}()

func (d Dim) String() string { return dimensions[d].name }

// appendKey appends the key of a call, as dimensions say. Ids never hold a zero byte.
func appendKey(dst []byte, e *Event, provider string, transport Transport) []byte {
	dst = append(append(dst, e.Profile...), 0)
	dst = append(append(dst, e.Chain...), 0)
	dst = append(append(dst, provider...), 0)
	dst = append(append(dst, e.Method...), 0)
	dst = append(append(dst, e.Strategy...), 0)
	dst = append(append(dst, e.SourceRegion...), 0)
	return append(dst, byte(transport), byte(e.RequestOrigin))
}
