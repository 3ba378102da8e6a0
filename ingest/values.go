package ingest

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode"

	"remuda/store"
	"remuda/store/cell"
	"remuda/store/ids"
)

// value reads the value of a field at pos, which is not null, into the event.
func (d *decoder) value(f field, pos int) int {
	e := d.event
	var w uint8
	switch f {
	case fieldTS:
		e.SentTS, e.SentNanos, pos = d.instant(f, pos)
	case fieldType:
		w, pos = d.word(f, pos, typeWords)
		e.Kind = store.Kind(w)
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
		w, pos = d.word(f, pos, transportWords)
		e.Transport = store.Transport(w)
	case fieldDuration:
		e.DurationMicros, pos = d.duration(f, pos)
	case fieldUpstream:
		e.UpstreamMicros, pos = d.duration(f, pos)
	case fieldResult:
		w, pos = d.word(f, pos, resultWords)
		e.Failed = w == resultError
	case fieldFailovers:
		e.FailoverCount, pos = d.small(f, pos, maxCount)
	case fieldErrorCategory:
		e.ErrorCategory, pos = d.id(f, pos)
	case fieldErrorCode:
		e.ErrorCode, pos = d.errorCode(f, pos)
	case fieldRequestOrigin:
		w, pos = d.word(f, pos, originWords)
		e.RequestOrigin = store.RequestOrigin(w)
	case fieldWeight:
		e.Weight, pos = d.weight(pos)
	case fieldAttempts:
		e.Attempts, pos = d.attemptList(pos)
	case fieldFrom:
		w, pos = d.word(f, pos, fromWords)
		e.From = store.CircuitState(w)
	case fieldTo:
		w, pos = d.word(f, pos, circuitWords)
		e.To = store.CircuitState(w)
	case fieldReason:
		e.Reason, pos = d.free(f, pos)
	case fieldSince:
		e.SinceAt, _, pos = d.instant(f, pos)
	case fieldHeight:
		e.Height, pos = d.count(f, pos, maxInteger)
	case fieldSource:
		w, pos = d.word(f, pos, sourceWords)
		e.HeightSource = store.HeightSource(w)
	case fieldStatus:
		w, pos = d.word(f, pos, statusWords)
		e.Status = store.HealthStatus(w)
	case fieldConsecutiveFailures:
		e.ConsecutiveFailures, pos = d.small(f, pos, maxCount)
	case fieldConsecutiveSuccesses:
		e.ConsecutiveSuccesses, pos = d.small(f, pos, maxCount)
	case fieldLatency:
		e.LatencyMicros, pos = d.duration(f, pos)
	}
	return pos
}

// mistyped skips a value of the wrong type and says so.
func (d *decoder) mistyped(f field, pos int, want string) int {
	mark := len(d.arena)
	pos = d.skip(pos, 1)
	d.arena = d.arena[:mark]
	if pos > 0 {
		d.fault(fault{field: f, code: "wrong_type", detail: "must be " + want})
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
func (d *decoder) id(f field, pos int) (string, int) {
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
		if d.judgeID(f, value) && known != nil {
			*known = bytesToString(data[pos+1 : i+1])
		}
		return value, i + 1
	}
	value, end := d.text(pos)
	if end > 0 {
		d.judgeID(f, value)
	}
	return value, end
}

func (d *decoder) judgeID(f field, value string) bool {
	code, detail := ids.Fault(value)
	if code == "" {
		return true
	}
	d.fault(fault{field: f, code: code, detail: detail})
	return false
}

// tooLong is what is said of free text beyond its bound.
var tooLong = "must have at most " + strconv.Itoa(store.MaxText) + " bytes"

// free reads free text.
func (d *decoder) free(f field, pos int) (string, int) {
	if d.data[pos] != '"' {
		return "", d.mistyped(f, pos, "a string")
	}
	d.unusual = false
	value, end := d.text(pos)
	if end < 0 {
		return "", -1
	}
	if len(value) > store.MaxText {
		d.fault(fault{field: f, code: "too_long", detail: tooLong})
	}
	// JSON itself rules out all but DEL, unless escaped or beyond ASCII.
	if strings.IndexByte(value, 0x7f) >= 0 || d.unusual && strings.ContainsFunc(value, unicode.IsControl) {
		d.fault(fault{field: f, code: "bad_character", detail: "must not have control characters"})
	}
	return value, end
}

// errorCode reads a JSON-RPC error code: text, or the number as it is written.
func (d *decoder) errorCode(f field, pos int) (string, int) {
	if c := d.data[pos]; c == '-' || c-'0' <= 9 {
		end := d.number(pos)
		if end < 0 {
			return "", -1
		}
		if end-pos > store.MaxText {
			d.fault(fault{field: f, code: "too_long", detail: tooLong})
		}
		return bytesToString(d.data[pos:end]), end
	}
	return d.free(f, pos)
}

// chain reads the name of a chain, or its EIP-155 number in any spelling; chain_id takes
// no names.
func (d *decoder) chain(pos int) (string, int) {
	if c := d.data[pos]; c == '-' || c-'0' <= 9 {
		had := d.nfaults
		id, end := d.count(fieldChain, pos, maxInteger)
		if end < 0 || d.nfaults > had {
			return "", end
		}
		return d.chains.Name(id), end
	}
	had := d.nfaults
	value, end := d.id(fieldChain, pos)
	if end < 0 || d.nfaults > had {
		return "", end
	}
	id, isNumber := store.ChainID(value)
	switch {
	case isNumber:
		value = d.chains.Name(id)
	case d.lasso&(1<<fieldChain) != 0:
		d.fault(fault{
			field: fieldChain, code: "unknown_value",
			detail: `chain_id must be an EIP-155 number such as 8453, "0x2105" or "eip155:8453"; names go into chain`,
		})
	}
	return value, end
}

// count reads an integer from 0 to limit, in any spelling: 1.0 and 1e2 are
// integers.
func (d *decoder) count(f field, pos int, limit uint64) (uint64, int) {
	if c := d.data[pos]; c != '-' && c-'0' > 9 {
		return 0, d.notNumber(f, pos)
	}
	n, end, bad := d.integer(pos)
	if bad == "" && n > limit {
		bad = "out_of_range"
	}
	if bad != "" {
		detail := "must be an integer from 0 to " + strconv.FormatUint(limit, 10)
		d.fault(fault{field: f, code: bad, detail: detail})
		return 0, end
	}
	return n, end
}

func (d *decoder) small(f field, pos int, limit uint64) (uint32, int) {
	n, end := d.count(f, pos, limit)
	return uint32(n), end
}

func (d *decoder) weight(pos int) (uint32, int) {
	had := d.nfaults
	n, end := d.small(fieldWeight, pos, maxWeight)
	if end > 0 && n == 0 && d.nfaults == had {
		d.fault(fault{field: fieldWeight, code: "out_of_range", detail: "must be from 1 to 1000000"})
	}
	return n, end
}

// duration reads a duration in ms and returns whole microseconds.
func (d *decoder) duration(f field, pos int) (uint64, int) {
	if c := d.data[pos]; c != '-' && c-'0' > 9 {
		return 0, d.notNumber(f, pos)
	}
	micros, end, bad := d.millis(pos)
	if bad != "" {
		d.fault(fault{field: f, code: bad, detail: "must be milliseconds from 0 to " + strconv.Itoa(cell.MaxMicros/1000)})
	}
	return micros, end
}

func (d *decoder) notNumber(f field, pos int) int {
	switch d.data[pos] {
	case '"', '{', '[', 't', 'f':
		return d.mistyped(f, pos, "a number")
	}
	return d.fail("not a JSON value")
}

// word reads one of the words of an enumeration.
func (d *decoder) word(f field, pos int, words []word) (uint8, int) {
	for i := range words {
		if d.matches(pos, words[i].quoted) {
			return words[i].value, pos + len(words[i].quoted)
		}
	}
	if d.data[pos] != '"' {
		return 0, d.mistyped(f, pos, "a string")
	}
	text, end := d.text(pos)
	if end < 0 {
		return 0, -1
	}
	known := make([]string, len(words))
	for i, w := range words {
		known[i] = strings.Trim(w.quoted, `"`)
		if known[i] == text { // it was spelled with escapes
			return w.value, end
		}
	}
	unknown := code("unknown_value")
	if f == fieldType {
		unknown = "unknown_type"
	}
	d.fault(fault{field: f, code: unknown, detail: "must be one of " + strings.Join(known, ", ")})
	return 0, end
}
