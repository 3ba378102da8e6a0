package httpapi

import (
	"math"
	"slices"
	"strconv"

	"remuda/store/cell"
)

// record is one row of an answer as JSON members. One form serves all faces: JSON
// joins the members, CSV and tables pick values, sort and fields find them by
// name. A record may be filled again after reset.
type record struct {
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

func (r *record) reset(key string) {
	r.key, r.buf, r.members = key, r.buf[:0], r.members[:0]
	r.text("key", key)
}

// value notes a member whose value the caller appends to r.buf before the next call.
func (r *record) value(name string, encode func(dst []byte) []byte) {
	from := len(r.buf)
	r.buf = encode(r.buf)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

func (r *record) text(name, s string) {
	from := len(r.buf)
	r.buf = appendString(r.buf, s)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

// textOrNull is for what is absent when empty.
func (r *record) textOrNull(name, s string) {
	if s == "" {
		r.null(name)
		return
	}
	r.text(name, s)
}

func (r *record) count(name string, n uint64) {
	from := len(r.buf)
	r.buf = strconv.AppendUint(r.buf, n, 10)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

func (r *record) integer(name string, n int64) {
	from := len(r.buf)
	r.buf = strconv.AppendInt(r.buf, n, 10)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

func (r *record) boolean(name string, b bool) {
	from := len(r.buf)
	r.buf = strconv.AppendBool(r.buf, b)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

func (r *record) null(name string) {
	from := len(r.buf)
	r.buf = append(r.buf, "null"...)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

// instant is ms since the epoch; 0 is never.
func (r *record) instant(name string, at int64) {
	if at == 0 {
		r.null(name)
		return
	}
	r.integer(name, at)
}

func (r *record) millis(name string, m cell.Micros) {
	from := len(r.buf)
	r.buf = appendMillis(r.buf, m)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

func (r *record) percent(name string, part, whole uint64) {
	from := len(r.buf)
	r.buf = appendPercent(r.buf, part, whole)
	r.members = append(r.members, memberSpan{name: name, from: from, to: len(r.buf)})
}

// moving notes the last member as volatile.
func (r *record) moving() { r.members[len(r.members)-1].volatile = true }

// alias gives the last member the name that it has in events, too.
func (r *record) alias(name string) {
	m := r.members[len(r.members)-1]
	m.name, m.event = name, true
	r.members = append(r.members, m)
}

// eventText is a member that only events have.
func (r *record) eventText(name, s string) {
	r.text(name, s)
	r.members[len(r.members)-1].event = true
}

// drop takes a member out.
func (r *record) drop(name string) {
	r.members = slices.DeleteFunc(r.members, func(m memberSpan) bool { return m.name == name })
}

// find returns the JSON value of a member, nil when there is none.
func (r *record) find(name string) []byte {
	for i := range r.members {
		if m := &r.members[i]; m.name == name {
			return r.buf[m.from:m.to]
		}
	}
	return nil
}

// appendJSON appends the record as an object: all members of the row, or key and those
// in fields.
func (r *record) appendJSON(dst []byte, fields []string) []byte {
	return r.appendObject(dst, fields, false)
}

// appendEvent appends the record as an object that is also an event, where there are
// events of its kind, unless fields say what is wanted.
func (r *record) appendEvent(dst []byte, fields []string) []byte {
	return r.appendObject(dst, fields, len(fields) == 0)
}

func (r *record) appendObject(dst []byte, fields []string, event bool) []byte {
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
func (r *record) appendStable(dst []byte, fields []string) []byte {
	for i := range r.members {
		m := &r.members[i]
		if m.volatile || m.event || len(fields) > 0 && !slices.Contains(fields, m.name) {
			continue
		}
		dst = append(append(dst, r.buf[m.from:m.to]...), ',')
	}
	return dst
}

// appendString appends a JSON string. What is stored is valid UTF-8.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		from = i + 1
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// appendMillis appends microseconds as milliseconds with up to three decimals.
func appendMillis(dst []byte, m cell.Micros) []byte {
	if m == cell.None {
		return append(dst, "null"...)
	}
	dst = strconv.AppendInt(dst, int64(m)/1000, 10)
	rest := int64(m) % 1000
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.', byte('0'+rest/100))
	if rest %= 100; rest > 0 {
		dst = append(dst, byte('0'+rest/10))
		if rest %= 10; rest > 0 {
			dst = append(dst, byte('0'+rest))
		}
	}
	return dst
}

// appendPercent appends part of whole in percent, two decimals; of nothing, null.
func appendPercent(dst []byte, part, whole uint64) []byte {
	if whole == 0 {
		return append(dst, "null"...)
	}
	return appendRounded(dst, 100*float64(part)/float64(whole), 100)
}

// appendRounded appends a number rounded to 1/scale.
func appendRounded(dst []byte, f, scale float64) []byte {
	return strconv.AppendFloat(dst, math.Round(f*scale)/scale, 'f', -1, 64)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

// appendMeta appends "meta":{…}.
func appendMeta(dst []byte, m *meta) []byte {
	dst = append(dst, `"meta":{"node":`...)
	dst = appendString(dst, m.Node)
	dst = strconv.AppendUint(append(dst, `,"incarnation":`...), m.Incarnation, 10)
	dst = strconv.AppendUint(append(dst, `,"revision":`...), m.Revision, 10)
	dst = strconv.AppendInt(append(dst, `,"at":`...), m.At, 10)
	dst = strconv.AppendInt(append(dst, `,"window_ms":`...), m.Window.Length().Milliseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"covered_ms":`...), m.CoveredMillis, 10)
	dst = strconv.AppendInt(append(dst, `,"coverage":{"nodes":{"reporting":`...), int64(m.NodesReporting), 10)
	dst = strconv.AppendInt(append(dst, `,"known":`...), int64(m.NodesKnown), 10)
	dst = strconv.AppendInt(append(dst, `},"senders":{"reporting":`...), int64(m.SendersReporting), 10)
	dst = strconv.AppendInt(append(dst, `,"known":`...), int64(m.SendersKnown), 10)
	dst = strconv.AppendInt(append(dst, `}},"oldest_node_age_ms":`...), m.OldestNodeAgeMillis, 10)
	dst = strconv.AppendUint(append(dst, `,"overflow_calls":`...), m.OverflowCalls, 10)
	dst = strconv.AppendBool(append(dst, `,"truncated":`...), m.truncated)
	if j := m.judged; j != nil {
		dst = strconv.AppendInt(append(dst, `,"judged":{"providers":`...), int64(j.Providers), 10)
		dst = strconv.AppendInt(append(dst, `,"unknown":`...), int64(j.Unknown), 10)
		dst = append(dst, '}')
	}
	dst = append(dst, m.extra...)
	return append(dst, '}')
}
