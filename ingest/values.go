package ingest

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// memoSlots is how many values of a field are remembered, by a hash of the bytes
// that begin them.
const memoSlots = 16

// remembered returns the place of the value of a field at pos, the quote included.
func (d *decoder) remembered(f field, pos int) *memo {
	if pos+17 > len(d.data) {
		return &d.memo[f][0]
	}
	a, b := binary.LittleEndian.Uint64(d.data[pos+1:]), binary.LittleEndian.Uint64(d.data[pos+9:])
	return &d.memo[f][(a*0x9e3779b97f4a7c15^b*0xc2b2ae3d27d4eb4f)>>60]
}

// memo is a value of a field that was found valid.
type memo struct {
	raw   string // as in the body, with its closing quote
	value string
	word  uint8 // of enumerations, instead of value
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
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@#=+~-") {
		ok[c] = true
	}
	return ok
}()

// id reads an id.
func (d *decoder) id(f field, pos int) (string, int) {
	if d.data[pos] != '"' {
		return "", d.mistyped(f, pos, "a string")
	}
	m := d.remembered(f, pos)
	if m.raw != "" && d.matches(pos+1, m.raw) {
		return m.value, pos + 1 + len(m.raw)
	}
	i := pos + 1
	for i < len(d.data) && idChars[d.data[i]] {
		i++
	}
	if i < len(d.data) && d.data[i] == '"' {
		value := bytesToString(d.data[pos+1 : i])
		// Its characters are good; what else can be wrong is quickly seen.
		if value != "" && len(value) <= maxID && value[0] != '_' || d.judgeID(f, value) {
			*m = memo{raw: bytesToString(d.data[pos+1 : i+1]), value: value}
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
	found := idFault(value)
	if found.code == "" {
		return true
	}
	found.field = f
	d.fault(found)
	return false
}

// idFault says what keeps a value from being an id.
func idFault(value string) fault {
	switch {
	case value == "":
		return fault{code: "empty", detail: "must not be empty"}
	case len(value) > maxID:
		return fault{code: "too_long", detail: "must have at most 128 characters"}
	case strings.HasPrefix(value, "__"):
		return fault{code: "bad_character", detail: "names that begin with __ are reserved"}
	}
	for i := range len(value) {
		if !idChars[value[i]] {
			return fault{code: "bad_character", detail: "only letters, digits and ._:@#=+~- are allowed"}
		}
	}
	return fault{}
}

// free reads free text.
func (d *decoder) free(f field, pos int) (string, int) {
	if d.data[pos] != '"' {
		return "", d.mistyped(f, pos, "a string")
	}
	value, end := d.text(pos)
	if end < 0 {
		return "", -1
	}
	if len(value) > maxText {
		d.fault(fault{field: f, code: "too_long", detail: "must have at most 512 bytes"})
	}
	// Only an escape can bring in a control character below DEL.
	escaped := end-pos-2 != len(value)
	if strings.IndexByte(value, 0x7f) >= 0 || escaped && strings.ContainsFunc(value, func(r rune) bool { return r < ' ' }) {
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
		if end-pos > maxText {
			d.fault(fault{field: f, code: "too_long", detail: "must have at most 512 bytes"})
		}
		return bytesToString(d.data[pos:end]), end
	}
	return d.free(f, pos)
}

// chain reads the name of a chain, or its EIP-155 number in Lasso's spelling.
func (d *decoder) chain(pos int) (string, int) {
	if d.lasso&(1<<fieldChain) == 0 {
		return d.id(fieldChain, pos)
	}
	var value string
	end := 0
	if c := d.data[pos]; c == '-' || c-'0' <= 9 {
		var n uint64
		if n, end = d.count(fieldChain, pos, maxInteger); end < 0 {
			return "", -1
		}
		mark := len(d.arena)
		d.arena = strconv.AppendUint(d.arena, n, 10)
		value = bytesToString(d.arena[mark:])
	} else if value, end = d.id(fieldChain, pos); end < 0 {
		return "", -1
	}
	if name, ok := d.chainNames[value]; ok {
		value = name
	}
	return value, end
}

// count reads an integer from 0 to limit.
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

// duration reads a duration in ms and returns whole microseconds.
func (d *decoder) duration(f field, pos int) (uint64, int) {
	if c := d.data[pos]; c != '-' && c-'0' > 9 {
		return 0, d.notNumber(f, pos)
	}
	micros, end, bad := d.millis(pos)
	if bad != "" {
		d.fault(fault{field: f, code: bad, detail: "must be milliseconds from 0 to 86400000"})
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

// result reads success or error.
func (d *decoder) result(pos int, failed *bool) int {
	switch {
	case d.matches(pos, `"success"`):
		return pos + len(`"success"`)
	case d.matches(pos, `"error"`):
		*failed = true
		return pos + len(`"error"`)
	}
	var word resultWord // spelled with escapes, or wrong
	end := enum(d, fieldResult, pos, resultValues, &word)
	*failed = word == 1
	return end
}

type resultWord uint8

var resultValues = map[string]resultWord{"success": 0, "error": 1}

// enum reads one of a few words.
func enum[T ~uint8](d *decoder, f field, pos int, values map[string]T, to *T) int {
	if d.data[pos] != '"' {
		return d.mistyped(f, pos, "a string")
	}
	m := d.remembered(f, pos)
	if m.raw != "" && d.matches(pos+1, m.raw) {
		*to = T(m.word)
		return pos + 1 + len(m.raw)
	}
	value, end := d.text(pos)
	if end < 0 {
		return -1
	}
	v, ok := values[value]
	if !ok {
		unknown := code("unknown_value")
		if f == fieldType {
			unknown = "unknown_type"
		}
		d.fault(fault{field: f, code: unknown, detail: "must be one of " + spellings(values)})
		return end
	}
	*m = memo{raw: bytesToString(d.data[pos+1 : end]), word: uint8(v)}
	*to = v
	return end
}
