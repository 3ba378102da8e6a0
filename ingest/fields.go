package ingest

import "remuda/store"

// field names one piece of an event, whichever spelling it came in.
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
	numFields

	fieldUnknown field = 254 // a name this version does not know
	fieldWhole   field = 255 // not a field: the fault is the event's
)

// name is one spelling of a field.
type name struct {
	field field
	lasso bool // the newer spelling of Lasso, whose values differ a little
}

// nameOf knows all spellings that are read. Both spellings of a field in one event
// are a duplicate. A switch is several times faster here than a map.
func nameOf(text string) (n name, ok bool) {
	switch text {
	case "type":
		return name{field: fieldType}, true
	case "ts":
		return name{field: fieldTS}, true
	case "event_id":
		return name{field: fieldEventID}, true
	case "request_id":
		return name{field: fieldRequestID}, true
	case "profile":
		return name{field: fieldProfile}, true
	case "source_node":
		return name{field: fieldSourceNode}, true
	case "source_node_id":
		return name{field: fieldSourceNode, lasso: true}, true
	case "source_region":
		return name{field: fieldSourceRegion}, true
	case "chain":
		return name{field: fieldChain}, true
	case "chain_id":
		return name{field: fieldChain, lasso: true}, true
	case "method":
		return name{field: fieldMethod}, true
	case "strategy":
		return name{field: fieldStrategy}, true
	case "provider_id":
		return name{field: fieldProviderID}, true
	case "transport":
		return name{field: fieldTransport}, true
	case "duration_ms":
		return name{field: fieldDuration}, true
	case "upstream_ms":
		return name{field: fieldUpstream}, true
	case "result":
		return name{field: fieldResult}, true
	case "failover_count":
		return name{field: fieldFailovers}, true
	case "error_category":
		return name{field: fieldErrorCategory}, true
	case "error_code":
		return name{field: fieldErrorCode}, true
	case "request_origin":
		return name{field: fieldRequestOrigin}, true
	case "weight":
		return name{field: fieldWeight}, true
	case "attempts":
		return name{field: fieldAttempts}, true
	case "from":
		return name{field: fieldFrom}, true
	case "previous_state":
		return name{field: fieldFrom}, true
	case "to":
		return name{field: fieldTo}, true
	case "new_state":
		return name{field: fieldTo}, true
	case "reason":
		return name{field: fieldReason}, true
	case "height":
		return name{field: fieldHeight}, true
	case "block_number":
		return name{field: fieldHeight}, true
	case "source":
		return name{field: fieldSource}, true
	case "status":
		return name{field: fieldStatus}, true
	case "consecutive_failures":
		return name{field: fieldConsecutiveFailures}, true
	case "consecutive_successes":
		return name{field: fieldConsecutiveSuccesses}, true
	case "latency_ms":
		return name{field: fieldLatency}, true
	}
	return name{field: fieldUnknown}, false
}

// fieldNames are the spellings that refusals use.
var fieldNames = [numFields]string{
	"type", "ts", "event_id", "request_id", "profile", "source_node", "source_region", "chain", "method", "strategy",
	"provider_id", "transport", "duration_ms", "upstream_ms", "result", "failover_count", "error_category", "error_code",
	"request_origin", "weight", "attempts", "from", "to", "reason", "height", "source", "status", "consecutive_failures",
	"consecutive_successes", "latency_ms",
}

// sent are the bits that the store knows the fields by.
var sent = [numFields]store.Fields{
	store.FieldType, store.FieldTS, store.FieldEventID, store.FieldRequestID, store.FieldProfile, store.FieldSourceNode,
	store.FieldSourceRegion, store.FieldChain, store.FieldMethod, store.FieldStrategy, store.FieldProviderID,
	store.FieldTransport, store.FieldDuration, store.FieldUpstream, store.FieldResult, store.FieldFailovers,
	store.FieldErrorCategory, store.FieldErrorCode, store.FieldRequestOrigin, store.FieldWeight, store.FieldAttempts,
	store.FieldFrom, store.FieldTo, store.FieldReason, store.FieldHeight, store.FieldSource, store.FieldStatus,
	store.FieldConsecutiveFailures, store.FieldConsecutiveSuccesses, store.FieldLatency,
}

// fieldSet is a set of fields, a bit each.
type fieldSet uint32

func setOf(fields ...field) (s fieldSet) {
	for _, f := range fields {
		s |= 1 << f
	}
	return s
}

const kinds = 4

var (
	common = setOf(fieldType, fieldTS, fieldEventID, fieldRequestID, fieldProfile, fieldSourceNode, fieldSourceRegion, fieldChain,
		fieldProviderID)

	// fieldsOf are the fields that a kind of event reads. Others are as good as
	// unknown: they are not judged.
	fieldsOf = [kinds]fieldSet{
		store.Decision: common | setOf(fieldMethod, fieldStrategy, fieldTransport, fieldDuration, fieldUpstream, fieldResult, fieldFailovers,
			fieldErrorCategory, fieldErrorCode, fieldRequestOrigin, fieldWeight, fieldAttempts),
		store.Circuit: common | setOf(fieldTransport, fieldFrom, fieldTo, fieldReason),
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
	requiredSet [kinds]fieldSet
)

func init() {
	for kind, list := range required {
		requiredSet[kind] = setOf(list...)
	}
}

// The enumerations, by spelling.
var (
	typeValues      = map[string]store.Kind{"decision": store.Decision, "circuit": store.Circuit, "block": store.Block, "health": store.Health}
	transportValues = map[string]store.Transport{"http": store.HTTP, "ws": store.WS}
	originValues    = map[string]store.RequestOrigin{"client": store.Client, "system": store.System}
	circuitValues   = map[string]store.CircuitState{"closed": store.CircuitClosed, "open": store.CircuitOpen, "half_open": store.CircuitHalfOpen}
	statusValues    = map[string]store.HealthStatus{
		"healthy": store.Healthy, "degraded": store.Degraded, "unhealthy": store.Unhealthy, "unknown": store.HealthUnknown,
	}
	sourceValues = map[string]store.HeightSource{"ws": store.HeightFromWS, "http": store.HeightFromHTTP}
)

// chainNames are the names of chains by EIP-155 number, as Lasso calls them.
var chainNames = map[string]string{
	"1": "ethereum", "8453": "base", "42161": "arbitrum", "11155111": "ethereum-sepolia", "84532": "base-sepolia",
	"421614": "arbitrum-sepolia",
}
