package ingest

import (
	"encoding/binary"

	"remuda/store"
)

// field names one piece of an event, whichever spelling it came in. The order is
// that of the bits of store.Fields.
type field uint8

const (
	fieldType field = iota
	fieldTS
	fieldEventID
	fieldRequestID
	fieldProfile
	fieldSourceNode
	fieldSourceRegion
	fieldChain
	fieldMethod
	fieldStrategy
	fieldProviderID
	fieldTransport
	fieldDuration
	fieldUpstream
	fieldResult
	fieldFailovers
	fieldErrorCategory
	fieldErrorCode
	fieldRequestOrigin
	fieldWeight
	fieldAttempts
	fieldFrom
	fieldTo
	fieldReason
	fieldHeight
	fieldSource
	fieldStatus
	fieldConsecutiveFailures
	fieldConsecutiveSuccesses
	fieldLatency
	fieldSince
	numFields

	fieldUnknown field = 254 // a name this version does not know
	fieldWhole   field = 255 // not a field: the fault is the event's
)

// fieldNames are the spellings that refusals use.
var fieldNames = [numFields]string{
	"type", "ts", "event_id", "request_id", "profile", "source_node", "source_region", "chain", "method", "strategy",
	"provider_id", "transport", "duration_ms", "upstream_ms", "result", "failover_count", "error_category", "error_code",
	"request_origin", "weight", "attempts", "from", "to", "reason", "height", "source", "status", "consecutive_failures",
	"consecutive_successes", "latency_ms", "since_at",
}

// fieldSet is a set of fields, a bit each.
type fieldSet uint32

func setOf(fields ...field) (s fieldSet) {
	for _, f := range fields {
		s |= 1 << f
	}
	return s
}

// name is one spelling of a field. Both spellings of a field in one event are a
// duplicate.
type name struct {
	quoted string // as in the text
	field  field
	lasso  bool // the newer spelling of Lasso, whose values differ a little
}

// names is an open hash table of all spellings that are read, by nameKey: a name
// is found by its first bytes before it is known where it ends, which takes half
// the time of reading it first. Names that begin alike follow each other.
var names = func() (table [128]name) {
	add := func(text string, f field, lasso bool) {
		quoted := `"` + text + `"`
		i := nameKey(binary.LittleEndian.Uint64([]byte(quoted + "        ")[1:]))
		for table[i].quoted != "" {
			i = (i + 1) % uint(len(table))
		}
		table[i] = name{quoted: quoted, field: f, lasso: lasso}
	}
	for f, text := range fieldNames {
		add(text, field(f), false)
	}
	add("source_node_id", fieldSourceNode, true)
	add("chain_id", fieldChain, true)
	add("block_number", fieldHeight, true)
	add("previous_state", fieldFrom, true)
	add("new_state", fieldTo, true)
	return table
}()

// nameKey hashes the eight bytes behind the opening quote of a name, of which
// those from the closing quote on do not count.
func nameKey(w uint64) uint {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote := w ^ ones*'"'
	found := (quote - ones) &^ quote & highs
	w &= (found&-found)>>7 - 1 // all of them where there is none
	return uint(w * 0x9e3779b97f4a7c15 >> 57)
}

// namesByText are the same, unquoted.
var namesByText = func() map[string]*name {
	m := make(map[string]*name)
	for i := range names {
		if q := names[i].quoted; q != "" {
			m[q[1:len(q)-1]] = &names[i]
		}
	}
	return m
}()

const kinds = 4

var (
	common = setOf(fieldType, fieldTS, fieldEventID, fieldRequestID, fieldProfile, fieldSourceNode, fieldSourceRegion, fieldChain,
		fieldProviderID)

	// fieldsOf are the fields that a kind of event reads. Others are as good as
	// unknown: they are not judged.
	fieldsOf = [kinds]fieldSet{
		store.Decision: common | setOf(fieldMethod, fieldStrategy, fieldTransport, fieldDuration, fieldUpstream, fieldResult, fieldFailovers,
			fieldErrorCategory, fieldErrorCode, fieldRequestOrigin, fieldWeight, fieldAttempts),
		store.Circuit: common | setOf(fieldTransport, fieldFrom, fieldTo, fieldReason, fieldSince),
		store.Block:   common | setOf(fieldHeight, fieldSource),
		store.Health: common | setOf(fieldTransport, fieldStatus, fieldConsecutiveFailures, fieldConsecutiveSuccesses,
			fieldLatency, fieldReason),
	}

	// required are the fields that an event must have, in the order in which a
	// missing one is reported.
	required = [kinds][]field{
		store.Decision: {fieldChain, fieldProviderID, fieldMethod, fieldDuration, fieldResult},
		store.Circuit:  {fieldChain, fieldProviderID, fieldTo},
		store.Block:    {fieldChain, fieldProviderID, fieldHeight},
		store.Health:   {fieldChain, fieldProviderID, fieldStatus},
	}
	requiredSet = func() (sets [kinds]fieldSet) {
		for kind, fields := range required {
			sets[kind] = setOf(fields...)
		}
		return sets
	}()
)

// word is one value of an enumeration.
type word struct {
	quoted string // as in the text
	value  uint8
}

// The enumerations, in the order in which their words are tried and listed.
var (
	typeWords = []word{
		{`"decision"`, uint8(store.Decision)},
		{`"circuit"`, uint8(store.Circuit)},
		{`"block"`, uint8(store.Block)},
		{`"health"`, uint8(store.Health)},
	}
	transportWords = wordsOf(store.HTTP, store.WS)
	originWords    = wordsOf(store.Client, store.System)
	circuitWords   = wordsOf(store.CircuitClosed, store.CircuitOpen, store.CircuitHalfOpen)
	// fromWords has the word of rows of changes, for a state that nobody reported.
	fromWords   = append(circuitWords[:len(circuitWords):len(circuitWords)], wordsOf(store.CircuitUnknown)...)
	statusWords = wordsOf(store.Healthy, store.Degraded, store.Unhealthy, store.HealthUnknown)
	sourceWords = wordsOf(store.HeightFromWS, store.HeightFromHTTP)
	resultWords = []word{{`"success"`, resultSuccess}, {`"error"`, resultError}}
)

// wordsOf are the words of some values.
func wordsOf[T interface {
	~uint8
	String() string
}](values ...T) (words []word) {
	for _, v := range values {
		words = append(words, word{`"` + v.String() + `"`, uint8(v)})
	}
	return words
}

const (
	resultSuccess uint8 = iota
	resultError
)
