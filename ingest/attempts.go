package ingest

import (
	"fmt"
	"hash/maphash"
	"strconv"

	"remuda/store"
)

// attemptList reads the failed tries before the final one.
func (d *decoder) attemptList(pos int) ([]store.Attempt, int) {
	if d.data[pos] != '[' {
		return nil, d.mistyped(fieldAttempts, pos, "an array")
	}
	from := len(d.attempts)
	pos = d.space(pos + 1)
	if pos < len(d.data) && d.data[pos] == ']' {
		return nil, pos + 1
	}
	for n := 0; ; n++ {
		if pos >= len(d.data) {
			return nil, d.fail("array without an end")
		}
		if pos = d.attempt(pos, n); pos < 0 {
			return nil, -1
		}
		pos = d.space(pos)
		switch {
		case pos < len(d.data) && d.data[pos] == ',':
			pos = d.space(pos + 1)
		case pos < len(d.data) && d.data[pos] == ']':
			return d.attempts[from:len(d.attempts):len(d.attempts)], pos + 1
		default:
			return nil, d.fail("neither comma nor closing bracket behind a value")
		}
	}
}

// attempt reads one try. Unknown names count into the identity of the event, and
// of equal ones the last counts.
func (d *decoder) attempt(pos, n int) int {
	before := d.nfaults
	if d.data[pos] != '{' {
		pos = d.mistyped(fieldAttempts, pos, "an object")
		d.locate(before, n, "")
		return pos
	}
	a := store.Attempt{Transport: inherited}
	var hasProvider, hasDuration bool
	first := d.space(pos + 1)
	if first < len(d.data) && d.data[first] == '}' {
		pos = first + 1
	} else {
		for opening := byte('{'); ; opening = ',' {
			var name string
			if name, pos = d.attemptName(pos, opening); pos < 0 {
				return -1
			}
			if pos >= len(d.data) {
				return d.fail("object without an end")
			}
			at := d.nfaults
			if d.data[pos] == 'n' {
				pos = d.literal(pos, "null")
			} else {
				pos = d.attemptValue(&a, n, name, pos)
				hasProvider = hasProvider || name == "provider_id"
				hasDuration = hasDuration || name == "duration_ms"
			}
			if pos < 0 {
				return -1
			}
			d.locate(at, n, name)
			if pos = d.space(pos); pos < len(d.data) && d.data[pos] == '}' {
				pos++
				break
			}
		}
	}
	switch {
	case n >= store.MaxAttempts:
		if n == store.MaxAttempts {
			d.fault(fault{field: fieldAttempts, code: "out_of_range", detail: "at most " + strconv.Itoa(store.MaxAttempts) + " attempts are taken"})
		}
		return pos
	case !hasProvider:
		d.fault(fault{field: fieldAttempts, path: fmt.Sprintf("attempts[%d].provider_id", n), code: "missing", detail: "every attempt needs a provider_id"})
	case !hasDuration:
		d.fault(fault{field: fieldAttempts, path: fmt.Sprintf("attempts[%d].duration_ms", n), code: "missing", detail: "every attempt needs a duration_ms"})
	}
	d.attempts = append(d.attempts, a)
	return pos
}

// inherited marks an attempt that takes its transport from the decision.
const inherited store.Transport = 255

func (d *decoder) attemptName(pos int, opening byte) (string, int) {
	if pos >= len(d.data) || d.data[pos] != opening {
		return "", d.fail("neither comma nor closing brace behind a value")
	}
	pos = d.space(pos + 1)
	if pos >= len(d.data) || d.data[pos] != '"' {
		return "", d.fail("object member without a name")
	}
	name, pos := d.text(pos)
	if pos < 0 {
		return "", -1
	}
	if pos = d.space(pos); pos >= len(d.data) || d.data[pos] != ':' {
		return "", d.fail("object member without a colon")
	}
	return name, d.space(pos + 1)
}

// attemptValue reads a value of the nth try.
func (d *decoder) attemptValue(a *store.Attempt, n int, name string, pos int) int {
	var w uint8
	switch name {
	case "provider_id":
		a.ProviderID, pos = d.id(fieldProviderID, pos)
	case "transport":
		w, pos = d.word(fieldTransport, pos, transportWords)
		a.Transport = store.Transport(w)
	case "duration_ms":
		a.DurationMicros, pos = d.duration(fieldDuration, pos)
	case "error_category":
		a.ErrorCategory, pos = d.id(fieldErrorCategory, pos)
	case "error_code":
		a.ErrorCode, pos = d.errorCode(fieldErrorCode, pos)
	case "result":
		had := d.nfaults
		w, pos = d.word(fieldResult, pos, resultWords)
		if pos > 0 && w != resultError && d.nfaults == had {
			d.fault(fault{field: fieldAttempts, code: "unknown_value", detail: "the result of an attempt can only be error"})
		}
	default:
		mark := len(d.arena)
		d.arena = append(append(d.arena, byte(n)), name...)
		d.arena = append(d.arena, 0)
		if pos = d.skip(pos, 3); pos > 0 {
			d.event.Other += maphash.Bytes(d.seed, d.arena[mark:])
			d.other = true
		}
		d.arena = d.arena[:mark]
	}
	return pos
}

// locate makes faults found inside of an attempt point there.
func (d *decoder) locate(from, n int, name string) {
	for i := from; i < d.nfaults; i++ {
		f := &d.faults[i]
		f.field = fieldAttempts
		if f.path == "" {
			f.path = fmt.Sprintf("attempts[%d]", n)
			if name != "" {
				f.path += "." + name
			}
		}
	}
}
