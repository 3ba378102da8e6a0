package wire

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"remuda/store"
	"remuda/store/cell"
	"remuda/store/ids"
)

// An entry is one thing that changed: a kind, and its fields. Deltas and the chunks
// of a pull are lists of entries. docs/wire.md describes their bytes.
const (
	entryCircuit = 1 + iota
	entryBlock
	entryHealth
	entryChange
	entrySender
	entryTally
	entryDecision
	entryRow // and the three after it, see AppendRow
)

// Entries are what a message carried.
type Entries struct {
	Notes store.Notes
	Rows  []RowEntry
}

// A RowEntry is a row as it was told: the origin's number for it, and what changed. Its
// state has no key when only the number came.
type RowEntry struct {
	Number uint64 // 0 when it has none
	State  store.RowState
}

// entries reads to the end of a message.
func (r *reader) entries(h *Head) (e Entries) {
	n := &e.Notes
	for len(r.rest) > 0 {
		switch kind := r.byte(); kind {
		case entryCircuit:
			n.Circuits = append(n.Circuits, r.circuit())
		case entryBlock:
			n.Blocks = append(n.Blocks, r.block())
		case entryHealth:
			n.Healths = append(n.Healths, r.health())
		case entryChange:
			n.Changes = append(n.Changes, r.change())
		case entrySender:
			n.Senders = append(n.Senders, r.sender())
		case entryTally:
			n.Tallies = append(n.Tallies, r.tally())
		case entryDecision:
			n.Decisions = append(n.Decisions, r.decision())
		case entryRow, entryRow | rowKeyed, entryRow | rowEven, entryRow | rowKeyed | rowEven:
			e.Rows = append(e.Rows, r.row(kind, h))
		default:
			r.fail()
		}
	}
	return e
}

// EachLatest calls yield with the entry of every latest value stamped after a
// sequence, urgent ones first.
func EachLatest(n *store.Notes, after uint64, yield func(entry []byte) bool) bool {
	var b []byte
	for i := range n.Circuits {
		if n.Circuits[i].Stamp <= after {
			continue
		}
		if b = appendCircuit(b[:0], &n.Circuits[i]); !yield(b) {
			return false
		}
	}
	for i := range n.Healths {
		if n.Healths[i].Stamp <= after {
			continue
		}
		if b = appendHealth(b[:0], &n.Healths[i]); !yield(b) {
			return false
		}
	}
	for i := range n.Blocks {
		if n.Blocks[i].Stamp <= after {
			continue
		}
		if b = appendBlock(b[:0], &n.Blocks[i]); !yield(b) {
			return false
		}
	}
	return true
}

// EachOther does so with circuit changes, senders and tallies.
func EachOther(n *store.Notes, after uint64, yield func(entry []byte) bool) bool {
	var b []byte
	for i := range n.Changes {
		if n.Changes[i].Stamp <= after {
			continue
		}
		if b = appendChange(b[:0], &n.Changes[i]); !yield(b) {
			return false
		}
	}
	for i := range n.Senders {
		if n.Senders[i].Stamp <= after {
			continue
		}
		if b = appendSender(b[:0], &n.Senders[i]); !yield(b) {
			return false
		}
	}
	for i := range n.Tallies {
		if n.Tallies[i].Stamp <= after {
			continue
		}
		if b = appendTally(b[:0], &n.Tallies[i]); !yield(b) {
			return false
		}
	}
	return true
}

func appendCircuit(b []byte, c *store.Stamped[store.CircuitReport]) []byte {
	v := &c.Value
	b = appendBorn(append(b, entryCircuit), c.Stamp, c.Born)
	b = appendStrings(b, v.Profile, v.Chain, v.ProviderID, v.Region, v.Sender)
	b = append(b, byte(v.Transport), byte(v.State))
	return appendInstants(appendString(b, v.Reason), v.SinceAt, v.LastSeenAt)
}

func (r *reader) circuit() (c store.Stamped[store.CircuitReport]) {
	v := &c.Value
	c.Stamp, c.Born = r.born()
	r.ids(&v.Profile, &v.Chain, &v.ProviderID, &v.Region, &v.Sender)
	v.Transport = store.Transport(r.enum(numTransports))
	v.State = store.CircuitState(r.enum(numCircuitStates))
	v.Reason = r.text()
	v.SinceAt, v.LastSeenAt = r.millis(), r.millis()
	return c
}

func appendBlock(b []byte, c *store.Stamped[store.BlockReport]) []byte {
	v := &c.Value
	b = appendBorn(append(b, entryBlock), c.Stamp, c.Born)
	b = appendStrings(b, v.Profile, v.Chain, v.ProviderID, v.Region, v.Sender)
	b = append(b, byte(v.Source))
	return appendInstants(binary.AppendUvarint(b, v.Height), v.LastSeenAt)
}

func (r *reader) block() (c store.Stamped[store.BlockReport]) {
	v := &c.Value
	c.Stamp, c.Born = r.born()
	r.ids(&v.Profile, &v.Chain, &v.ProviderID, &v.Region, &v.Sender)
	v.Source = store.HeightSource(r.enum(numHeightSources))
	v.Height = r.upTo(1 << 53)
	v.LastSeenAt = r.millis()
	return c
}

func appendHealth(b []byte, c *store.Stamped[store.HealthReport]) []byte {
	v := &c.Value
	b = appendBorn(append(b, entryHealth), c.Stamp, c.Born)
	b = appendStrings(b, v.Profile, v.Chain, v.ProviderID, v.Region, v.Sender)
	b = appendBool(append(b, byte(v.Transport), byte(v.Status)), v.HasLatency)
	b = binary.AppendUvarint(b, v.LatencyMicros)
	b = binary.AppendUvarint(b, uint64(v.ConsecutiveFailures))
	b = binary.AppendUvarint(b, uint64(v.ConsecutiveSuccesses))
	return appendInstants(appendString(b, v.Reason), v.LastSeenAt)
}

func (r *reader) health() (c store.Stamped[store.HealthReport]) {
	v := &c.Value
	c.Stamp, c.Born = r.born()
	r.ids(&v.Profile, &v.Chain, &v.ProviderID, &v.Region, &v.Sender)
	v.Transport = store.Transport(r.enum(numTransports))
	v.Status = store.HealthStatus(r.enum(numHealthStates))
	v.HasLatency = r.bool()
	v.LatencyMicros = r.upTo(1 << 53)
	v.ConsecutiveFailures = uint32(r.upTo(1<<32 - 1))
	v.ConsecutiveSuccesses = uint32(r.upTo(1<<32 - 1))
	v.Reason = r.text()
	v.LastSeenAt = r.millis()
	return c
}

func appendChange(b []byte, c *store.Stamped[store.CircuitChange]) []byte {
	v := &c.Value
	b = binary.AppendUvarint(append(b, entryChange), c.Stamp)
	b = appendStrings(b, v.Profile, v.Chain, v.ProviderID, v.Region, v.Sender)
	b = append(b, byte(v.Transport), byte(v.From), byte(v.To))
	b = appendInstants(appendString(b, v.Reason), v.At)
	return binary.AppendUvarint(b, v.Seq)
}

func (r *reader) change() (c store.Stamped[store.CircuitChange]) {
	v := &c.Value
	c.Stamp = r.upTo(maxSequence)
	r.ids(&v.Profile, &v.Chain, &v.ProviderID, &v.Region, &v.Sender)
	v.Transport = store.Transport(r.enum(numTransports))
	v.From, v.To = store.CircuitState(r.enum(numCircuitStates)), store.CircuitState(r.enum(numCircuitStates))
	v.Reason = r.text()
	v.At = r.millis()
	v.Seq = r.upTo(1 << 60)
	return c
}

func appendSender(b []byte, c *store.Stamped[store.Sender]) []byte {
	v := &c.Value
	b = binary.AppendUvarint(append(b, entrySender), c.Stamp)
	b = appendStrings(b, v.Profile, v.SourceNode, v.Region)
	b = appendInstants(b, v.RejectedAt, v.LastSeenAt)
	b = binary.AppendUvarint(b, v.Calls)
	b = binary.AppendUvarint(b, min(v.Rejected, 1<<37-1)<<16|uint64(v.Fault))
	b = appendBool(b, v.HasClock)
	return binary.AppendVarint(binary.AppendVarint(b, v.LatenessMillis), v.OffsetMillis)
}

func (r *reader) sender() (c store.Stamped[store.Sender]) {
	v := &c.Value
	c.Stamp = r.upTo(maxSequence)
	r.ids(&v.Profile, &v.SourceNode, &v.Region)
	v.RejectedAt, v.LastSeenAt = r.millis(), r.millis()
	v.Calls = r.upTo(1 << 53)
	if rejected := r.upTo(1 << 53); v.RejectedAt > 0 {
		v.Rejected, v.Fault = rejected>>16, store.Fault(rejected&0xffff)
	}
	v.HasClock = r.bool()
	v.LatenessMillis, v.OffsetMillis = r.int(), r.int()
	return c
}

func appendTally(b []byte, c *store.Stamped[store.Tally]) []byte {
	b = binary.AppendUvarint(append(b, entryTally), c.Stamp)
	b = appendString(b, c.Value.Profile)
	b = binary.AppendUvarint(b, c.Value.Seen)
	b = binary.AppendUvarint(b, c.Value.Shown)
	return binary.AppendUvarint(b, c.Value.Overflow)
}

func (r *reader) tally() (c store.Stamped[store.Tally]) {
	c.Stamp = r.upTo(maxSequence)
	c.Value = store.Tally{Profile: r.id(), Seen: r.upTo(1 << 53), Shown: r.upTo(1 << 53), Overflow: r.upTo(1 << 53)}
	return c
}

// AppendDecision writes the entry of a decision.
func AppendDecision(b []byte, d *store.Stamped[store.DecisionRecord]) []byte {
	v := &d.Value
	b = binary.AppendUvarint(append(b, entryDecision), d.Stamp)
	b = binary.AppendUvarint(b, v.Seq)
	b = appendInstants(b, v.TS)
	b = appendStrings(b, v.RequestID, v.EventID, v.Profile, v.SourceNode, v.Region, v.Chain, v.Method, v.Strategy,
		v.ProviderID, v.ErrorCategory, v.ErrorCode)
	b = append(b, byte(v.Transport), byte(v.RequestOrigin))
	b = appendBool(append(b, byte(v.Result), byte(v.CallReason)), v.HasUpstream)
	b = binary.AppendUvarint(b, uint64(v.FailoverCount))
	b = binary.AppendUvarint(b, uint64(v.Weight))
	b = binary.AppendUvarint(b, v.DurationMicros)
	b = binary.AppendUvarint(b, v.UpstreamMicros)
	b = binary.AppendUvarint(b, uint64(len(v.Attempts)))
	for i := range v.Attempts {
		a := &v.Attempts[i]
		b = appendStrings(b, a.ProviderID, a.ErrorCategory, a.ErrorCode)
		b = append(b, byte(a.Transport), byte(a.Result), byte(a.Reason))
		b = binary.AppendUvarint(b, a.DurationMicros)
	}
	return b
}

func (r *reader) decision() (d store.Stamped[store.DecisionRecord]) {
	v := &d.Value
	d.Stamp = r.upTo(maxSequence)
	v.Seq = r.upTo(1 << 60)
	v.TS = r.millis()
	v.RequestID, v.EventID = r.text(), r.text()
	r.ids(&v.Profile, &v.SourceNode, &v.Region, &v.Chain, &v.Method, &v.Strategy, &v.ProviderID)
	v.ErrorCategory, v.ErrorCode = r.category(), r.text()
	v.Transport = store.Transport(r.enum(numTransports))
	v.RequestOrigin = store.RequestOrigin(r.enum(numRequestOrigins))
	v.Result, v.CallReason = cell.Result(r.enum(byte(cell.NotSent))), store.CallReason(r.enum(numCallReasons))
	v.HasUpstream = r.bool()
	v.FailoverCount, v.Weight = uint32(r.upTo(1<<32-1)), uint32(r.upTo(1<<32-1))
	v.DurationMicros, v.UpstreamMicros = r.upTo(1<<53), r.upTo(1<<53)
	for range r.upTo(store.MaxAttempts) {
		a := store.Attempt{ProviderID: r.id(), ErrorCategory: r.category(), ErrorCode: r.text()}
		a.Transport = store.Transport(r.enum(numTransports))
		a.Result, a.Reason = cell.Result(r.enum(byte(cell.NumResults))), store.CallReason(r.enum(numCallReasons))
		a.DurationMicros = r.upTo(1 << 53)
		v.Attempts = append(v.Attempts, a)
	}
	return d
}

// AppendDecisions writes the answer to who asks for decisions: the status of the run that
// answers, and its decisions. Of thousands only some are told.
func AppendDecisions(b []byte, own *Status, list []store.Stamped[store.DecisionRecord]) []byte {
	b = appendStatus(b, own)
	for i := range list {
		if len(b) > chunkSize {
			break
		}
		b = AppendDecision(b, &list[i])
	}
	return b
}

// ReadDecisions reads what AppendDecisions wrote.
func ReadDecisions(chunk []byte) (own Status, list []store.Stamped[store.DecisionRecord], err error) {
	r := reader{rest: chunk}
	own = r.status()
	e := r.entries(&Head{ID: own.ID})
	if !r.end() || len(e.Rows) > 0 {
		return Status{}, nil, ErrDamaged
	}
	return own, e.Notes.Decisions, nil
}

func appendBorn(b []byte, stamp, born uint64) []byte {
	b = binary.AppendUvarint(b, stamp)
	return binary.AppendUvarint(b, stamp-min(born, stamp))
}

func appendStrings(b []byte, parts ...string) []byte {
	for _, s := range parts {
		b = appendString(b, s)
	}
	return b
}

func appendInstants(b []byte, at ...int64) []byte {
	for _, t := range at {
		b = binary.AppendUvarint(b, uint64(max(t, 0)))
	}
	return b
}

// The numbers of values of the enumerations, for bounds.
const (
	numTransports     = byte(store.WS) + 1
	numCircuitStates  = byte(store.CircuitOpen) + 1
	numHeightSources  = byte(store.HeightFromHTTP) + 1
	numHealthStates   = byte(store.Unhealthy) + 1
	numRequestOrigins = byte(store.System) + 1
	numCallReasons    = byte(store.ReasonOther) + 1
)

func (r *reader) born() (stamp, born uint64) {
	stamp = r.upTo(maxSequence)
	back := r.upTo(stamp)
	return stamp, stamp - back
}

func (r *reader) ids(to ...*string) {
	for _, s := range to {
		*s = r.id()
	}
}

// id is a string that is judged as the ids of events are.
func (r *reader) id() string {
	s := string(r.bytes(ids.Max))
	if !ids.ValidName(s) {
		r.fail()
		return ""
	}
	return s
}

// category is an id, or nothing.
func (r *reader) category() string {
	s := string(r.bytes(ids.Max))
	if s != "" && !ids.ValidName(s) {
		r.fail()
		return ""
	}
	return s
}

// text is free text, judged as that of events is.
func (r *reader) text() string {
	s := string(r.bytes(store.MaxText))
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		r.fail()
		return ""
	}
	return s
}
