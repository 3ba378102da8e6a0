package json

import (
	"encoding/binary"
	"strings"

	"remuda/ingest/judge"
	"remuda/store"
	"remuda/store/cell"
	"remuda/store/ids"
)

// value reads the value of a field at pos, which is not null, into the event.
func (d *Decoder) value(f judge.Field, pos int) int {
	e := d.Event
	var w uint8
	switch f {
	case judge.TS:
		e.SentTS, e.SentNanos, pos = d.instant(f, pos)
	case judge.Type:
		w, pos = d.word(f, pos)
		e.Kind = store.Kind(w)
	case judge.EventID:
		e.EventID, pos = d.free(f, pos)
	case judge.RequestID:
		e.RequestID, pos = d.free(f, pos)
	case judge.Profile:
		e.Profile, pos = d.id(f, pos)
	case judge.SourceNode:
		e.SourceNode, pos = d.id(f, pos)
	case judge.SourceRegion:
		e.SourceRegion, pos = d.id(f, pos)
	case judge.Chain:
		e.Chain, pos = d.chain(pos)
	case judge.Method:
		e.Method, pos = d.id(f, pos)
	case judge.Strategy:
		e.Strategy, pos = d.id(f, pos)
	case judge.ProviderID:
		e.ProviderID, pos = d.id(f, pos)
	case judge.Transport:
		w, pos = d.word(f, pos)
		e.Transport = store.Transport(w)
	case judge.Duration:
		e.DurationMicros, pos = d.duration(f, pos)
	case judge.Upstream:
		e.UpstreamMicros, pos = d.duration(f, pos)
	case judge.Result:
		w, pos = d.word(f, pos)
		e.Result = cell.Result(w)
	case judge.Failovers:
		e.FailoverCount, pos = d.small(f, pos)
	case judge.ErrorCategory:
		e.ErrorCategory, pos = d.id(f, pos)
	case judge.ErrorCode:
		e.ErrorCode, pos = d.errorCode(f, pos)
	case judge.RequestOrigin:
		w, pos = d.word(f, pos)
		e.RequestOrigin = store.RequestOrigin(w)
	case judge.Weight:
		e.Weight, pos = d.small(f, pos)
	case judge.Attempts:
		e.Attempts, pos = d.attemptList(pos)
	case judge.From:
		w, pos = d.word(f, pos)
		e.From = store.CircuitState(w)
	case judge.To:
		w, pos = d.word(f, pos)
		e.To = store.CircuitState(w)
	case judge.Reason:
		e.Reason, pos = d.free(f, pos)
	case judge.Since:
		e.SinceAt, _, pos = d.instant(f, pos)
	case judge.Height:
		e.Height, pos = d.count(f, pos)
	case judge.Source:
		w, pos = d.word(f, pos)
		e.HeightSource = store.HeightSource(w)
	case judge.Status:
		w, pos = d.word(f, pos)
		e.Status = store.HealthStatus(w)
	case judge.ConsecutiveFailures:
		e.ConsecutiveFailures, pos = d.small(f, pos)
	case judge.ConsecutiveSuccesses:
		e.ConsecutiveSuccesses, pos = d.small(f, pos)
	case judge.Latency:
		e.LatencyMicros, pos = d.duration(f, pos)
	}
	return pos
}

// mistyped skips a value of the wrong type and says so.
func (d *Decoder) mistyped(f judge.Field, pos int, want string) int {
	mark := len(d.arena)
	pos = d.skip(pos, 1)
	d.arena = d.arena[:mark]
	if pos > 0 {
		d.WrongType(f, want)
	}
	return pos
}

// idChars are the characters that ids are made of.
var idChars = func() (ok [256]bool) {
	for c := range ok {
		ok[c] = ids.IsByte(byte(c))
	}
	return ok
}()

// id reads an id. Most ids come again and again in a body: those found good are
// remembered, with their closing quote, and need not be looked at twice.
func (d *Decoder) id(f judge.Field, pos int) (string, int) {
	data := d.data
	if data[pos] != '"' {
		return "", d.mistyped(f, pos, "a string")
	}
	var known *string
	if pos+17 <= len(data) {
		a, b := binary.LittleEndian.Uint64(data[pos+1:]), binary.LittleEndian.Uint64(data[pos+9:])
		known = &d.ids[(a*0x9e3779b97f4a7c15^b*0xc2b2ae3d27d4eb4f)>>57]
		if id := *known; id != "" && d.matches(pos+1, id) {
			return id[:len(id)-1], pos + 1 + len(id)
		}
	}
	i := pos + 1
	for i < len(data) && idChars[data[i]] {
		i++
	}
	if i < len(data) && data[i] == '"' {
		value := bytesToString(data[pos+1 : i])
		if d.ID(f, value) && known != nil {
			*known = bytesToString(data[pos+1 : i+1])
		}
		return value, i + 1
	}
	value, end := d.text(pos)
	if end > 0 {
		d.ID(f, value)
	}
	return value, end
}

// free reads free text.
func (d *Decoder) free(f judge.Field, pos int) (string, int) {
	if d.data[pos] != '"' {
		return "", d.mistyped(f, pos, "a string")
	}
	d.unusual = false
	value, end := d.text(pos)
	if end < 0 {
		return "", -1
	}
	// Fast path: JSON itself rules out all control characters but DEL, unless they are
	// escaped or beyond ASCII.
	if d.unusual || len(value) > store.MaxText || strings.IndexByte(value, 0x7f) >= 0 {
		d.Text(f, value)
	}
	return value, end
}

// errorCode reads a JSON-RPC error Code: text, or the number as it is written.
func (d *Decoder) errorCode(f judge.Field, pos int) (string, int) {
	if c := d.data[pos]; c == '-' || c-'0' <= 9 {
		end := d.number(pos)
		if end < 0 {
			return "", -1
		}
		d.TextLength(f, end-pos)
		return bytesToString(d.data[pos:end]), end
	}
	return d.free(f, pos)
}

// chain reads the name of a chain, or its EIP-155 number in any spelling.
func (d *Decoder) chain(pos int) (string, int) {
	had := d.Faults()
	if c := d.data[pos]; c == '-' || c-'0' <= 9 {
		id, end := d.count(judge.Chain, pos)
		if end < 0 || d.Faults() > had {
			return "", end
		}
		return d.ChainNumber(id), end
	}
	value, end := d.id(judge.Chain, pos)
	if end < 0 || d.Faults() > had {
		return value, end
	}
	return d.ChainName(value), end
}

// count reads an integer in any spelling: 1.0 and 1e2 are integers.
func (d *Decoder) count(f judge.Field, pos int) (uint64, int) {
	if c := d.data[pos]; c != '-' && c-'0' > 9 {
		return 0, d.notNumber(f, pos)
	}
	n, end, code := d.integer(pos)
	if end < 0 {
		return 0, -1
	}
	return d.Count(f, n, code), end
}

func (d *Decoder) small(f judge.Field, pos int) (uint32, int) {
	n, end := d.count(f, pos)
	return uint32(n), end
}

// duration reads a duration in ms and returns whole microseconds.
func (d *Decoder) duration(f judge.Field, pos int) (uint64, int) {
	if c := d.data[pos]; c != '-' && c-'0' > 9 {
		return 0, d.notNumber(f, pos)
	}
	micros, end, code := d.millis(pos)
	if end < 0 {
		return 0, -1
	}
	return d.Micros(f, micros, code), end
}

// instant reads a point in time: whole milliseconds since the epoch, or RFC 3339 text.
// It returns ms, and the ns that a text has beyond them.
func (d *Decoder) instant(f judge.Field, pos int) (ms int64, nanos uint32, end int) {
	c := d.data[pos]
	if c == '"' {
		text, end := d.text(pos)
		if end < 0 {
			return 0, 0, -1
		}
		ms, nanos = d.TextInstant(f, text)
		return ms, nanos, end
	}
	if c != '-' && c-'0' > 9 {
		return 0, 0, d.notNumber(f, pos)
	}
	n, end, code := d.integer(pos)
	if end < 0 {
		return 0, 0, -1
	}
	return d.Instant(f, n, code, d.data[pos:end]), 0, end
}

func (d *Decoder) notNumber(f judge.Field, pos int) int {
	switch d.data[pos] {
	case '"', '{', '[', 't', 'f':
		return d.mistyped(f, pos, "a number")
	}
	return d.fail("not a JSON value")
}

// word reads one of the words of an enumeration.
func (d *Decoder) word(f judge.Field, pos int) (uint8, int) {
	known := words[f]
	for i := range known {
		if d.matches(pos, known[i].text) {
			return known[i].value, pos + len(known[i].text)
		}
	}
	if d.data[pos] != '"' {
		return 0, d.mistyped(f, pos, "a string")
	}
	text, end := d.text(pos)
	if end < 0 {
		return 0, -1
	}
	return d.Word(f, text), end // it may be known, and spelled with escapes
}
