package judge

import "remuda/store"

// A Field is one piece of an event, whichever spelling it came in. The order is
// that of the bits of store.Fields.
type Field uint8

// The fields.
const (
	Type Field = iota
	TS
	EventID
	RequestID
	Profile
	SourceNode
	SourceRegion
	Chain
	Method
	Strategy
	ProviderID
	Transport
	Duration
	Upstream
	Result
	Failovers
	ErrorCategory
	ErrorCode
	RequestOrigin
	Weight
	Attempts
	From
	To
	Reason
	Height
	Source
	Status
	ConsecutiveFailures
	ConsecutiveSuccesses
	Latency
	Since
	NumFields

	// AttemptResult is not a field of events: it has the words for the result of an attempt.
	AttemptResult = NumFields

	Whole Field = 255 // not a field: the fault is the event's
)

// String is the name that refusals use, "" for Whole.
func (f Field) String() string {
	return store.FieldName(int(f))
}

func setOf(fields ...Field) (s store.Fields) {
	for _, f := range fields {
		s |= 1 << f
	}
	return s
}

const kinds = 4

var (
	common = setOf(Type, TS, EventID, RequestID, Profile, SourceNode, SourceRegion, Chain,
		ProviderID)

	// fieldsOf are the fields that a kind of event reads. Others are as good as
	// unknown: they are not judged.
	fieldsOf = [kinds]store.Fields{
		store.Decision: common | setOf(Method, Strategy, Transport, Duration, Upstream, Result, Failovers,
			ErrorCategory, ErrorCode, RequestOrigin, Weight, Attempts, Reason),
		store.Circuit: common | setOf(Transport, From, To, Reason, Since),
		store.Block:   common | setOf(Height, Source),
		store.Health: common | setOf(Transport, Status, ConsecutiveFailures, ConsecutiveSuccesses,
			Latency, Reason),
	}

	// required are the fields that an event must have, in the order in which a
	// missing one is reported.
	required = [kinds][]Field{
		store.Decision: {Chain, ProviderID, Method, Duration, Result},
		store.Circuit:  {Chain, ProviderID, To},
		store.Block:    {Chain, ProviderID, Height},
		store.Health:   {Chain, ProviderID, Status},
	}
	requiredSet = func() (sets [kinds]store.Fields) {
		for kind, fields := range required {
			sets[kind] = setOf(fields...)
		}
		return sets
	}()
)
