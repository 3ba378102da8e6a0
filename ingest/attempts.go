package ingest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"remuda/store"
)

// attemptList reads the failed tries before the final one.
func (d *decoder) attemptList(pos int) int {
	if d.data[pos] != '[' {
		return d.mistyped(fieldAttempts, pos, "an array")
	}
	from := len(d.attempts)
	pos = d.space(pos + 1)
	if pos < len(d.data) && d.data[pos] == ']' {
		return pos + 1
	}
	for n := 0; ; n++ {
		if pos >= len(d.data) {
			return d.fail("array without an end")
		}
		if pos = d.attempt(pos, n); pos < 0 {
			return -1
		}
		pos = d.space(pos)
		switch {
		case pos < len(d.data) && d.data[pos] == ',':
			pos = d.space(pos + 1)
		case pos < len(d.data) && d.data[pos] == ']':
			d.event.Attempts = d.attempts[from:len(d.attempts):len(d.attempts)]
			return pos + 1
		default:
			return d.fail("neither comma nor closing bracket behind a value")
		}
	}
}

// attempt reads one try. It has few fields and is rare, so it is read without
// guesses; unknown names are skipped, and of equal ones the last counts.
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
				pos = d.attemptValue(&a, name, pos, &hasProvider, &hasDuration)
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
	case n >= maxAttempts:
		if n == maxAttempts {
			d.fault(fault{field: fieldAttempts, code: "out_of_range", detail: "at most 16 attempts are taken"})
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

func (d *decoder) attemptValue(a *store.Attempt, name string, pos int, hasProvider, hasDuration *bool) int {
	switch name {
	case "provider_id":
		*hasProvider = true
		a.ProviderID, pos = d.id(fieldProviderID, pos)
	case "transport":
		pos = enum(d, fieldTransport, pos, transportValues, &a.Transport)
	case "duration_ms":
		*hasDuration = true
		a.DurationMicros, pos = d.duration(fieldDuration, pos)
	case "error_category":
		a.ErrorCategory, pos = d.id(fieldErrorCategory, pos)
	case "error_code":
		a.ErrorCode, pos = d.errorCode(fieldErrorCode, pos)
	case "result":
		failed := false
		before := d.nfaults
		pos = d.result(pos, &failed)
		if pos > 0 && !failed && d.nfaults == before {
			d.fault(fault{field: fieldAttempts, code: "unknown_value", detail: "the result of an attempt can only be error"})
		}
	default:
		mark := len(d.arena)
		pos = d.skip(pos, 3)
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

// spellings lists the words of an enumeration.
func spellings[T any](values map[string]T) string {
	return strings.Join(slices.Sorted(maps.Keys(values)), ", ")
}
