package store

import "remuda/store/cell"

// Kind says what an event reports.
type Kind uint8

// The four kinds of event.
const (
	Decision Kind = iota
	Circuit
	Block
	Health
)

// Transport is how a provider was reached.
type Transport uint8

// The transports.
const (
	HTTP Transport = iota
	WS
	numTransports
)

// RequestOrigin is who asked: a client of the gateway, or the gateway itself.
type RequestOrigin uint8

// The request origins.
const (
	Client RequestOrigin = iota
	System
	numRequestOrigins
)

// CallReason is why a call was made, as far as its sender tells.
type CallReason uint8

// The reasons of calls. ReasonOther stands for all that this version does not know.
const (
	ReasonUnknown CallReason = iota
	ReasonPrimary
	ReasonRetry
	ReasonHedge     // another call was slow to end
	ReasonConsensus // the answers of several were to be compared
	ReasonOther
	numCallReasons
)

// ReasonOf is the reason of a word; any but those of the known ones is another.
func ReasonOf(word string) CallReason {
	for r := ReasonPrimary; r < ReasonOther; r++ {
		if callReasonNames[r] == word {
			return r
		}
	}
	return ReasonOther
}

// CircuitState is the state of a circuit breaker. The order is that of
// severity: the worst of several states is the greatest.
type CircuitState uint8

// The circuit states. CircuitUnknown means never reported, which is not closed.
const (
	CircuitUnknown CircuitState = iota
	CircuitClosed
	CircuitHalfOpen
	CircuitOpen
)

// HealthStatus is a sender's opinion of a provider.
type HealthStatus uint8

// The health statuses, from best to worst.
const (
	HealthUnknown HealthStatus = iota
	Healthy
	Degraded
	Unhealthy
)

// HeightSource is how a sender learnt a block height.
type HeightSource uint8

// The sources of a height.
const (
	HeightSourceUnknown HeightSource = iota
	HeightFromWS
	HeightFromHTTP
)

// Fields is the set of fields that a sender gave in an event. Together with the
// values it makes an event's identity "as sent": a default that was filled in
// is not the same as the same value spelled out. There may be 62 of them, see
// Store.identity.
type Fields uint64

// One bit a field. FieldOther stands for every name this version does not know.
const (
	FieldType Fields = 1 << iota
	FieldTS
	FieldEventID
	FieldRequestID
	FieldProfile
	FieldSourceNode
	FieldSourceRegion
	FieldChain
	FieldMethod
	FieldStrategy
	FieldProviderID
	FieldTransport
	FieldDuration
	FieldUpstream
	FieldResult
	FieldFailovers
	FieldErrorCategory
	FieldErrorCode
	FieldRequestOrigin
	FieldWeight
	FieldAttempts
	FieldFrom
	FieldTo
	FieldReason
	FieldHeight
	FieldSource
	FieldStatus
	FieldConsecutiveFailures
	FieldConsecutiveSuccesses
	FieldLatency
	FieldSince
	FieldOther
)

// fieldNames are the fields as refusals name them, in the order of their bits, which is
// part of what members say to each other: append only.
var fieldNames = []string{
	"type", "ts", "event_id", "request_id", "profile", "source_node", "source_region", "chain", "method", "strategy",
	"provider_id", "transport", "duration_ms", "upstream_ms", "result", "failover_count", "error_category", "error_code",
	"request_origin", "weight", "attempts", "from", "to", "reason", "height", "source", "status", "consecutive_failures",
	"consecutive_successes", "latency_ms", "since_at",
}

// FieldName is what refusals call the field of the n-th bit, "" if there is none.
func FieldName(n int) string {
	if n < len(fieldNames) {
		return fieldNames[n]
	}
	return ""
}

// An Event is one validated report. Its strings may point into memory that the
// caller reuses after [Store.Apply] has returned: the store copies what it keeps.
//
// Durations are whole microseconds, instants are milliseconds since the Unix epoch.
type Event struct {
	// All kinds.

	Kind      Kind
	Transport Transport
	Sent      Fields
	TS        int64  // the instant that picks the cell, never more than 5 s ahead of the store's clock
	SentTS    int64  // ts as the sender gave it; 0 without FieldTS in Sent
	Other     uint64 // sum of hashes of the fields this version does not know; part of the identity

	EventID      string
	RequestID    string
	Profile      string
	Chain        string
	ProviderID   string
	SourceNode   string
	SourceRegion string

	// Decisions.

	Method         string
	Strategy       string
	ErrorCategory  string // "" when there is none
	ErrorCode      string
	RequestOrigin  RequestOrigin
	Result         cell.Result // never NotSent
	CallReason     CallReason  // of the call that ended the request
	FailoverCount  uint32
	Weight         uint32 // 1 to 1,000,000
	SentNanos      uint32 // of all kinds: by how much ts, as the sender gave it, is beyond SentTS; part of the identity
	DurationMicros uint64
	UpstreamMicros uint64 // equal to DurationMicros unless the sender gave FieldUpstream
	Attempts       []Attempt

	// Circuits (From, To, SinceAt, Reason), blocks (Height, HeightSource), health (the rest
	// and Reason). Of decisions Reason is what CallReason was told as.

	From, To             CircuitState
	HeightSource         HeightSource
	Status               HealthStatus
	SinceAt              int64 // since when the state is To, 0 when the sender did not say; never after TS
	Height               uint64
	Reason               string
	ConsecutiveFailures  uint32
	ConsecutiveSuccesses uint32
	LatencyMicros        uint64
}

// An Attempt is another try than the one that ended the request: a failed one before it, or
// one beside it.
type Attempt struct {
	ProviderID     string
	ErrorCategory  string
	ErrorCode      string
	DurationMicros uint64
	Transport      Transport
	Result         cell.Result
	Reason         CallReason
}

// failedOver reports whether a try failed and another took its place. Hedges and
// calls for a consensus take nobody's place.
func (a *Attempt) failedOver() bool {
	return a.Result == cell.Failure && a.Reason != ReasonHedge && a.Reason != ReasonConsensus
}

// Failovers is how many of an event's attempts failed before others took their place.
func (e *Event) Failovers() (n uint32) {
	for i := range e.Attempts {
		if e.Attempts[i].failedOver() {
			n++
		}
	}
	return n
}

// A Refusal is the verdict on one event that was not counted.
type Refusal struct {
	Line   int    // from 1; for bodies that are one JSON array or object, the line the event begins on
	Index  int    // from 0, among the events of the body
	Field  string // "" when the whole event is at fault
	Sender string // its source_node, as far as that could be read
	Code   string // one of the documented codes
	Detail string // a sentence for people
}

// MaxListedRefusals is how many refusals a Receipt names; the rest are only counted.
const MaxListedRefusals = 20

// A Receipt says what became of the events of one body. Accepted, Duplicates
// and Rejected add up to the events in it; Adjusted counts those of the
// accepted whose ts was too far ahead.
type Receipt struct {
	Accepted   int
	Duplicates int
	Rejected   int
	Adjusted   int
	Refusals   []Refusal // at most MaxListedRefusals
}

func (t Transport) String() string { return transportNames[t] }

func (o RequestOrigin) String() string { return requestOriginNames[o] }

func (r CallReason) String() string { return callReasonNames[r] }

func (c CircuitState) String() string { return circuitNames[c] }

func (h HealthStatus) String() string { return healthNames[h] }

func (h HeightSource) String() string { return heightSourceNames[h] }

// Values are those of a dimension that has no others, nil for all else. Nobody may change
// them.
func (d Dim) Values() []string {
	switch d {
	case TransportDim:
		return transportNames[:]
	case RequestOriginDim:
		return requestOriginNames[:]
	}
	return nil
}

var (
	transportNames     = [numTransports]string{"http", "ws"}
	requestOriginNames = [numRequestOrigins]string{"client", "system"}
	callReasonNames    = [numCallReasons]string{"", "primary", "retry", "hedge", "consensus", "other"}
	circuitNames       = [...]string{"unknown", "closed", "half_open", "open"}
	healthNames        = [...]string{"unknown", "healthy", "degraded", "unhealthy"}
	heightSourceNames  = [...]string{"", "ws", "http"}
)
