package json

import (
	"hash/maphash"

	"remuda/ingest/judge"
	"remuda/store"
	"remuda/store/cell"
)

// attemptList reads the tries other than the final one.
func (d *Decoder) attemptList(pos int) ([]store.Attempt, int) {
	if d.data[pos] != '[' {
		return nil, d.mistyped(judge.Attempts, pos, "an array")
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
func (d *Decoder) attempt(pos, n int) int {
	before := d.Faults()
	if d.data[pos] != '{' {
		pos = d.mistyped(judge.Attempts, pos, "an object")
		d.Within(before, n, "")
		return pos
	}
	a := store.Attempt{Transport: judge.Inherited, Result: cell.Failure}
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
			at := d.Faults()
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
			d.Within(at, n, name)
			if pos = d.space(pos); pos < len(d.data) && d.data[pos] == '}' {
				pos++
				break
			}
		}
	}
	if d.Attempt(n, hasProvider, hasDuration) {
		d.attempts = append(d.attempts, a)
	}
	return pos
}

func (d *Decoder) attemptName(pos int, opening byte) (string, int) {
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
func (d *Decoder) attemptValue(a *store.Attempt, n int, name string, pos int) int {
	var w uint8
	switch name {
	case "provider_id":
		a.ProviderID, pos = d.id(judge.ProviderID, pos)
	case "transport":
		w, pos = d.word(judge.Transport, pos)
		a.Transport = store.Transport(w)
	case "duration_ms":
		a.DurationMicros, pos = d.duration(judge.Duration, pos)
	case "error_category":
		a.ErrorCategory, pos = d.id(judge.ErrorCategory, pos)
	case "error_code":
		a.ErrorCode, pos = d.errorCode(judge.ErrorCode, pos)
	case "result":
		w, pos = d.word(judge.AttemptResult, pos)
		a.Result = cell.Result(w)
	case "reason":
		var word string
		from := pos
		if word, pos = d.free(judge.Reason, pos); pos < 0 {
			return -1
		}
		if a.Reason = store.ReasonOf(word); a.Reason == store.ReasonOther {
			return d.unknownOfAttempt(n, name, from) // which keeps the word in the identity
		}
	default:
		return d.unknownOfAttempt(n, name, pos)
	}
	return pos
}

// unknownOfAttempt skips a value of the nth try that this version does not know, and
// counts it into the identity.
func (d *Decoder) unknownOfAttempt(n int, name string, pos int) int {
	mark := len(d.arena)
	d.arena = append(append(d.arena, byte(n)), name...)
	d.arena = append(d.arena, 0)
	if pos = d.skip(pos, 3); pos > 0 {
		d.Event.Other += maphash.Bytes(seed, d.arena[mark:])
		d.Other = true
	}
	d.arena = d.arena[:mark]
	return pos
}
