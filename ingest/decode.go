package ingest

import (
	"hash/maphash"
	"strings"

	"remuda/store"
)

// The bounds of what an event may hold.
const (
	maxID       = 128
	maxText     = 512
	maxAttempts = 16
	maxWeight   = 1_000_000
	maxCount    = 1<<32 - 1
	maxAhead    = 5_000     // ms; beyond it an event is stamped at arrival
	maxAge      = 3_600_000 // ms; beyond it an event is refused
)

// decoder turns the text of events into store.Events. It belongs to one body at
// a time; its memory is reused for the next.
//
// Events of one sender look alike, so the text between two values, such as
// `,"chain":`, is expected to be what it was in the event before, and where it is
// the name need not be read. A wrong guess costs one comparison. Values that
// seldom change are compared with the one before in the same way.
type decoder struct {
	scanner
	now        int64
	node       string // the sender when an event names none
	region     string
	chainNames map[string]string
	seed       maphash.Seed
	noGuess    bool // read every name; for tests

	guesses [numFields + 8]guess
	guessed int // how many of guesses are valid
	memo    [numFields][memoSlots]memo

	event    *store.Event
	given    fieldSet // names seen, with a value or null
	present  fieldSet // fields that have a value
	lasso    fieldSet // fields given in Lasso's newer spelling
	faults   [maxFaults]fault
	nfaults  int
	unknown  []uint64 // hashes of unknown names seen, lower-cased
	attempts []store.Attempt
}

// guess is the text before a value and the name in it.
type guess struct {
	text string
	name name
	hash uint64 // of the lower-cased name, when unknown
	raw  string // the name, when unknown
}

type fault struct {
	field  field
	path   string // instead of the field's name, for parts of attempts
	code   code
	detail string
}

// reset prepares for a new body.
func (d *decoder) reset(data []byte, now int64) {
	d.data, d.arena, d.now = data, d.arena[:0], now
	d.guessed = 0
	clear(d.memo[:])
	d.attempts = d.attempts[:0]
}

// object reads the event whose brace is at pos into e and returns the position
// behind it, or -1 after a syntax error. An event that is well-formed but not
// acceptable has faults.
func (d *decoder) object(e *store.Event, pos int) int {
	*e = store.Event{Weight: 1}
	d.event = e
	d.given, d.present, d.lasso, d.nfaults = 0, 0, 0, 0
	d.unknown = d.unknown[:0]
	d.problem = ""

	// An empty object has no value to guess the text before.
	if pos+1 < len(d.data) && d.data[pos+1] != '"' {
		if first := d.space(pos + 1); first < len(d.data) && d.data[first] == '}' {
			return first + 1
		}
	}
	for n := 0; ; n++ {
		// Beyond the last guess all names are read into one place.
		g := &d.guesses[min(n, len(d.guesses)-1)]
		if n < d.guessed && d.matches(pos, g.text) {
			pos = d.space(pos + len(g.text)) // this event may have more whitespace
		} else {
			begin := pos
			if *g, pos = d.name(pos, n == 0); pos < 0 {
				d.guessed = min(n, d.guessed)
				return -1
			}
			g.text = bytesToString(d.data[begin:pos])
			if n < len(d.guesses)-1 && !d.noGuess {
				d.guessed = max(d.guessed, n+1)
			}
		}
		if pos = d.member(g, pos); pos < 0 {
			return -1
		}
		// Usually a comma is next, and the next guess begins with it.
		if pos < len(d.data) && d.data[pos] == ',' {
			continue
		}
		next := d.space(pos)
		if next >= len(d.data) {
			return d.fail("object without an end")
		}
		if d.data[next] == '}' {
			return next + 1
		}
	}
}

func (d *decoder) matches(pos int, text string) bool {
	end := pos + len(text)
	return end <= len(d.data) && string(d.data[pos:end]) == text
}

// name reads everything between two values: a brace or comma, a name, a colon.
func (d *decoder) name(pos int, first bool) (guess, int) {
	var g guess
	pos = d.space(pos)
	opening := byte(',')
	if first {
		opening = '{'
	}
	if pos >= len(d.data) || d.data[pos] != opening {
		return g, d.fail("neither comma nor closing brace behind a value")
	}
	pos = d.space(pos + 1)
	if pos >= len(d.data) || d.data[pos] != '"' {
		return g, d.fail("object member without a name")
	}
	mark := len(d.arena)
	text, pos := d.text(pos)
	if pos < 0 {
		return g, -1
	}
	if len(d.arena) > mark {
		text = strings.Clone(text) // a guess outlives the arena
	}
	pos = d.space(pos)
	if pos >= len(d.data) || d.data[pos] != ':' {
		return g, d.fail("object member without a colon")
	}
	known, ok := nameOf(text)
	if !ok {
		lower := strings.ToLower(text)
		known, _ = nameOf(lower)
		g.hash = maphash.String(d.seed, lower)
		g.raw = text
	}
	g.name = known
	return g, d.space(pos + 1)
}

// member reads the value of a name at pos.
func (d *decoder) member(g *guess, pos int) int {
	if pos >= len(d.data) {
		return d.fail("object without an end")
	}
	if g.raw != "" || g.name.field == fieldUnknown {
		return d.unknownMember(g, pos)
	}
	f := g.name.field
	if d.given&(1<<f) != 0 {
		d.fault(fault{field: f, code: "duplicate_name", detail: "the name, or another spelling of it, occurs twice"})
	}
	d.given |= 1 << f
	if d.data[pos] == 'n' {
		return d.literal(pos, "null")
	}
	d.present |= 1 << f
	if g.name.lasso {
		d.lasso |= 1 << f
	}
	e := d.event
	switch f {
	case fieldTS:
		var n uint64
		n, pos = d.count(f, pos, maxInteger)
		e.SentTS = int64(n)
	case fieldType:
		pos = enum(d, f, pos, typeValues, &e.Kind)
	case fieldEventID:
		e.EventID, pos = d.free(f, pos)
	case fieldRequestID:
		e.RequestID, pos = d.free(f, pos)
	case fieldProfile:
		e.Profile, pos = d.id(f, pos)
	case fieldSourceNode:
		e.SourceNode, pos = d.id(f, pos)
	case fieldSourceRegion:
		e.SourceRegion, pos = d.id(f, pos)
	case fieldChain:
		e.Chain, pos = d.chain(pos)
	case fieldMethod:
		e.Method, pos = d.id(f, pos)
	case fieldStrategy:
		e.Strategy, pos = d.id(f, pos)
	case fieldProviderID:
		e.ProviderID, pos = d.id(f, pos)
	case fieldTransport:
		pos = enum(d, f, pos, transportValues, &e.Transport)
	case fieldDuration:
		e.DurationMicros, pos = d.duration(f, pos)
	case fieldUpstream:
		e.UpstreamMicros, pos = d.duration(f, pos)
	case fieldResult:
		pos = d.result(pos, &e.Failed)
	case fieldFailovers:
		e.FailoverCount, pos = d.small(f, pos, maxCount)
	case fieldErrorCategory:
		e.ErrorCategory, pos = d.id(f, pos)
	case fieldErrorCode:
		e.ErrorCode, pos = d.errorCode(f, pos)
	case fieldRequestOrigin:
		pos = enum(d, f, pos, originValues, &e.RequestOrigin)
	case fieldWeight:
		e.Weight, pos = d.small(f, pos, maxWeight)
		if pos > 0 && e.Weight == 0 {
			d.fault(fault{field: f, code: "out_of_range", detail: "must be from 1 to 1000000"})
		}
	case fieldAttempts:
		pos = d.attemptList(pos)
	case fieldFrom:
		pos = enum(d, f, pos, circuitValues, &e.From)
	case fieldTo:
		pos = enum(d, f, pos, circuitValues, &e.To)
	case fieldReason:
		e.Reason, pos = d.free(f, pos)
	case fieldHeight:
		e.Height, pos = d.count(f, pos, maxInteger)
	case fieldSource:
		pos = enum(d, f, pos, sourceValues, &e.HeightSource)
	case fieldStatus:
		pos = enum(d, f, pos, statusValues, &e.Status)
	case fieldConsecutiveFailures:
		e.ConsecutiveFailures, pos = d.small(f, pos, maxCount)
	case fieldConsecutiveSuccesses:
		e.ConsecutiveSuccesses, pos = d.small(f, pos, maxCount)
	case fieldLatency:
		e.LatencyMicros, pos = d.duration(f, pos)
	}
	return pos
}

// unknownMember skips a value that is not read, but counts it into the identity.
// A known name in other letters is unknown, and the same name all the same.
func (d *decoder) unknownMember(g *guess, pos int) int {
	if f := g.name.field; f != fieldUnknown {
		if d.given&(1<<f) != 0 {
			d.fault(fault{field: f, code: "duplicate_name", detail: "the name occurs twice, in different letters"})
		}
		d.given |= 1 << f
	} else {
		for _, h := range d.unknown {
			if h == g.hash {
				d.fault(fault{field: fieldWhole, path: shown(g.raw), code: "duplicate_name", detail: "the name occurs twice"})
				break
			}
		}
		if len(d.unknown) >= maxUnknown {
			d.fault(fault{field: fieldWhole, code: "out_of_range", detail: "more than 64 unknown names"})
		} else {
			d.unknown = append(d.unknown, g.hash)
		}
	}
	mark := len(d.arena)
	d.arena = append(append(d.arena, g.raw...), 0)
	end := d.skip(pos, 1)
	if end > 0 {
		d.event.Other += maphash.Bytes(d.seed, d.arena[mark:])
		d.event.Sent |= store.FieldOther
	}
	d.arena = d.arena[:mark]
	return end
}

// maxUnknown bounds the names that are compared with each other.
const maxUnknown = 64

// shown is a name of the sender's as it may stand in an answer.
func shown(name string) string {
	if len(name) > maxID {
		name = name[:maxID]
	}
	return strings.ToValidUTF8(name, "�")
}

// maxFaults is more than the fields have: beyond it an event is hopeless anyway,
// see finish.
const maxFaults = 40

// fault notes what is wrong with the event. Only one fault is reported, but which
// one depends on the kind of event, which may come last.
func (d *decoder) fault(f fault) {
	if d.nfaults < len(d.faults) {
		d.faults[d.nfaults] = f
		d.nfaults++
	}
}
