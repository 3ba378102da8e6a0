package answer

import (
	"slices"
	"strconv"

	"remuda/httpapi/value"
	"remuda/store/cell"
)

// A Record is one row of an answer as JSON members. One form serves all faces: JSON
// joins the members, CSV and tables pick values, sort and fields find them by
// name. A record may be filled again after reset.
type Record struct {
	key     string
	buf     []byte
	members []memberSpan
}

// memberSpan says where in the buffer the value of a member is.
type memberSpan struct {
	name     string
	from, to int
	// volatile members move with the clock alone (ages, calls_per_second): they are
	// filled in at encoding, and their change is no change of the row.
	volatile bool
	// event members are those that an event has and a row has not, or under another
	// name. They are in NDJSON, so that its lines can be posted.
	event bool
}

func (r *Record) reset(key string) {
	r.key, r.buf, r.members = key, r.buf[:0], r.members[:0]
	r.Text("key", key)
}

// value notes a member whose value the caller appends to r.buf before the next call.
func (r *Record) value(name string, encode func(dst []byte) []byte) {
	from := len(r.buf)
	r.buf = encode(r.buf)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

// Text adds a string.
func (r *Record) Text(name, s string) {
	from := len(r.buf)
	r.buf = value.AppendString(r.buf, s)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

// textOrNull is for what is absent when empty.
func (r *Record) textOrNull(name, s string) {
	if s == "" {
		r.Null(name)
		return
	}
	r.Text(name, s)
}

// Count adds a number of things.
func (r *Record) Count(name string, n uint64) {
	from := len(r.buf)
	r.buf = strconv.AppendUint(r.buf, n, 10)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

// Integer adds a whole number.
func (r *Record) Integer(name string, n int64) {
	from := len(r.buf)
	r.buf = strconv.AppendInt(r.buf, n, 10)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

func (r *Record) boolean(name string, b bool) {
	from := len(r.buf)
	r.buf = strconv.AppendBool(r.buf, b)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

// Null adds what is not known.
func (r *Record) Null(name string) {
	from := len(r.buf)
	r.buf = append(r.buf, "null"...)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

// Number is rounded to 1/scale.
func (r *Record) Number(name string, f, scale float64) {
	from := len(r.buf)
	r.buf = value.AppendRounded(r.buf, f, scale)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

// Instant is ms since the epoch; 0 is never.
func (r *Record) Instant(name string, at int64) {
	from := len(r.buf)
	r.buf = appendInstant(r.buf, at)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

func appendInstant(dst []byte, at int64) []byte {
	if at == 0 {
		return append(dst, "null"...)
	}
	return value.AppendInt(dst, at)
}

func (r *Record) millis(name string, m cell.Micros) {
	from := len(r.buf)
	r.buf = value.AppendMillis(r.buf, m)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

func (r *Record) percent(name string, part, whole uint64) {
	from := len(r.buf)
	r.buf = value.AppendPercent(r.buf, part, whole)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

// moving notes the last member as volatile.
func (r *Record) moving() { r.members[len(r.members)-1].volatile = true }

// alias gives the last member the name that it has in events, too.
func (r *Record) alias(name string) {
	m := r.members[len(r.members)-1]
	m.name, m.event = name, true
	r.members = append(r.members, m)
}

// eventText is a member that only events have.
func (r *Record) eventText(name, s string) {
	r.Text(name, s)
	r.members[len(r.members)-1].event = true
}

// drop takes a member out.
func (r *Record) drop(name string) {
	r.members = slices.DeleteFunc(r.members, func(m memberSpan) bool { return m.name == name })
}

// find returns the JSON value of a member, nil when there is none.
func (r *Record) find(name string) []byte {
	for i := range r.members {
		if m := &r.members[i]; m.name == name {
			return r.buf[m.from:m.to]
		}
	}
	return nil
}

// appendJSON appends the record as an object: all members of the row, or key and those
// in fields.
func (r *Record) appendJSON(dst []byte, fields []string) []byte {
	return r.appendObject(dst, fields, false)
}

// appendEvent appends the record as an object that is also an event, where there are
// events of its kind, unless fields say what is wanted.
func (r *Record) appendEvent(dst []byte, fields []string) []byte {
	return r.appendObject(dst, fields, len(fields) == 0)
}

func (r *Record) appendObject(dst []byte, fields []string, event bool) []byte {
	dst = append(dst, '{')
	first := true
	for i := range r.members {
		m := &r.members[i]
		if m.event && !event {
			continue
		}
		if len(fields) > 0 && m.name != "key" && !slices.Contains(fields, m.name) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(append(dst, '"'), m.name...), '"', ':')
		dst = append(dst, r.buf[m.from:m.to]...)
	}
	return append(dst, '}')
}

// appendStable appends what makes the record differ from another: the same
// without its volatile members.
func (r *Record) appendStable(dst []byte, fields []string) []byte {
	for i := range r.members {
		m := &r.members[i]
		if m.volatile || m.event || len(fields) > 0 && !slices.Contains(fields, m.name) {
			continue
		}
		dst = append(append(dst, r.buf[m.from:m.to]...), ',')
	}
	return dst
}
