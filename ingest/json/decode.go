package json

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"strings"

	"remuda/ingest/judge"
	"remuda/store"
	"remuda/store/ids"
)

// A Decoder turns the text of events into store.Events. It belongs to one body at
// a time; its memory is reused for the next.
//
// Events of one sender look alike, so an event is first read as a variation of
// one before it: the text around the values that change is compared, and only those
// are read. Two shapes are remembered, since failures often have members that
// successes have not. What is a variation of neither, or is not good, is read from
// its start as if nothing had come before. So the short way cannot judge otherwise
// than the long one: it never says no, and it reads values with the same methods.
//
// An example:
//
//	1  {"chain":"base","provider_id":"p1","method":"m","duration_ms":5,"result":"success"}
//	2  {"chain":"base","provider_id":"p2","method":"m","duration_ms":17,"result":"success"}
//	3  {"chain":"base","provider_id":"p2","method":"m","duration_ms":9,"result":"error"}
//	4  {"chain":"base","provider_id":"p1","method":"m","duration_ms":8,"result":"error","weight":2}
//	5  {"chain":"base","provider_id":"p1","method":"m","duration_ms":6,"result":"success"}
//
// 1 is read from its start and becomes a shape of 5 members. Three of them hardly ever are
// the same twice, see changes; so what is expected of others is
//
//	{"chain":"base","provider_id":   then a value of provider_id
//	,"method":                       then a value of method
//	,"duration_ms":                  then a value of duration_ms
//	,"result":"success"}             the tail
//
// 2 is that: four comparisons, three values read, and all else is copied from 1. 3 has
// another tail, so it is compared with 1 byte by byte (learn): all that differs lies in
// values, and from now on result is expected to change too. 4 goes on where 3 ended. It is
// read from its start, and becomes the other shape. 5 is a variation of the first shape
// again, and takes four values to read.
type Decoder struct {
	scanner
	judge.Case // the event being read

	form form // how the rest of the body is to be read
	pos  int  // where it begins

	begin    int             // brace of the event being read
	unknown  []uint64        // hashes of unknown names, lower-cased
	attempts []store.Attempt // of all events until they are applied

	shape, spare *shape // the one that fitted last, and another
	anewed       bool   // the event has been read into shape from its start

	// What one event leaves in arena and attempts when it is refused is dropped.
	arenaMark, attemptsMark int

	ids     [128]string // ids found good, by a hash of how they begin; see id
	unaided bool        // read every event from its start; for tests
}

// New returns a decoder for the events of a node.
func New(s judge.Setting) *Decoder {
	return &Decoder{Case: *judge.New(s), shape: new(shape), spare: new(shape)}
}

// seed is that of the hashes of what is not known: in two bodies the same has the same.
var seed = maphash.MakeSeed()

// A shape is an event that others are compared with. It stays as it is until it is
// replaced; only what is expected of others is learnt.
type shape struct {
	event      *store.Event // nil when there is none
	begin, end int          // its brace, and behind its closing brace
	judge.Members
	n      int                    // of its members
	list   [maxMembers + 1]member // the last place is for all that are too many
	values [maxMembers + 1]span   // where they are in the body

	changing uint64  // a bit for each member whose value changes from event to event
	blocks   []block // what is expected: text and a value by turns
	tail     span    // and the text behind the last value
}

// block is text that is the same in all events of a shape, and the member whose
// value follows it.
type block struct {
	text   span
	member int
}

// maxMembers is more than the names that are known. Events with more members than
// that are not compared.
const maxMembers = 48

// unknown is the field of a name that this version does not know.
const unknown judge.Field = 254

type member struct {
	field judge.Field
	null  bool
	name  uint64 // hash of the name, when it is not known
	hash  uint64 // hash of name and value, when it is not known
}

// span is a stretch of the body: [begin, end).
type span struct{ begin, end int32 }

// mark begins an event, or what stands in the place of one.
func (d *Decoder) mark() { d.arenaMark, d.attemptsMark = len(d.arena), len(d.attempts) }

// drop frees what was kept since mark.
func (d *Decoder) drop() {
	d.arena, d.attempts = d.arena[:d.arenaMark], d.attempts[:d.attemptsMark]
}

// Forget has the memory of the events read so far used again: those that others would
// be compared with are let go of.
func (d *Decoder) Forget() {
	d.shape.event, d.spare.event, d.anewed = nil, nil, false
	d.Case.Forget()
	clear(d.attempts)
	d.arena, d.attempts = d.arena[:0], d.attempts[:0]
}

// Refuse has the event just read leave nothing behind.
func (d *Decoder) Refuse() {
	d.discard()
	d.drop()
	d.Case.Forget()
}

// keep makes the event just read, which is of a new shape, one that others are compared
// with. Those with attempts are not: they share memory that is changed.
func (d *Decoder) keep() {
	s := d.shape
	if s.n > maxMembers || len(d.Event.Attempts) > 0 || d.unaided {
		d.discard()
		return
	}
	d.anewed = false
	s.Members, s.event, s.begin, s.end = d.Members, d.Event, d.Offset, d.Offset+d.Size
	s.changing = 0
	for i, m := range s.list[:s.n] {
		if changes&(1<<m.field) != 0 && !m.null {
			s.changing |= 1 << i
		}
	}
	s.expect()
}

// changes are the fields that hardly ever are the same in two events of a sender.
const changes = 1<<judge.EventID | 1<<judge.RequestID | 1<<judge.Method | 1<<judge.ProviderID | 1<<judge.Duration | 1<<judge.Upstream

// expect works out the blocks.
func (s *shape) expect() {
	s.blocks = s.blocks[:0]
	from := int32(s.begin)
	for i, v := range s.values[:s.n] {
		if s.changing&(1<<i) != 0 {
			s.blocks = append(s.blocks, block{span{from, v.begin}, i})
			from = v.end
		}
	}
	s.tail = span{from, int32(s.end)}
}

// discard leaves things as they were before the event just read.
func (d *Decoder) discard() {
	if d.anewed {
		d.shape, d.spare, d.anewed = d.spare, d.shape, false
	}
}

// object reads the event whose brace is at pos into e and returns the position
// behind it, or -1 after a syntax error. An event that is well-formed but not
// acceptable has faults.
func (d *Decoder) object(e *store.Event, pos int) int {
	d.mark()
	d.Event, d.begin, d.anewed = e, pos, false
	for range 2 {
		if d.shape.event != nil {
			if end := d.variation(pos); end > 0 {
				return end
			}
			d.drop()
		}
		d.shape, d.spare = d.spare, d.shape
	}
	d.shape, d.spare = d.spare, d.shape // it takes the place of the one that fitted longer ago
	d.shape.event, d.anewed = nil, true
	return d.anew()
}

// variation reads an event that has the members of the one before, in the same
// order and with the same text between their values. It returns 0 when the event
// is anything else.
func (d *Decoder) variation(pos int) int {
	if end := d.expected(pos); end > 0 {
		return end
	}
	d.drop()
	return d.learn(pos)
}

// expected reads a variation in which nothing changes but what has before.
func (d *Decoder) expected(pos int) int {
	s := d.shape
	for i, b := range s.blocks {
		if !d.repeats(b.text, pos) {
			return 0
		}
		if i == 0 { // not before, since few events of other shapes begin alike
			*d.Event = *s.event
			d.Open(s.Members)
		}
		pos += int(b.text.end - b.text.begin)
		if pos = d.change(b.member, pos); pos <= 0 {
			return 0
		}
	}
	if len(s.blocks) == 0 || !d.repeats(s.tail, pos) {
		return 0
	}
	return pos + int(s.tail.end-s.tail.begin)
}

// repeats reports whether the text at pos is that of a stretch before it.
func (d *Decoder) repeats(text span, pos int) bool {
	end := pos + int(text.end-text.begin)
	return end <= len(d.data) && string(d.data[pos:end]) == string(d.data[text.begin:text.end])
}

// change reads another value of a member at pos. It returns 0 or less when that
// takes more than this member.
func (d *Decoder) change(i, pos int) int {
	m := &d.shape.list[i]
	if pos >= len(d.data) || m.null || d.data[pos] == 'n' || m.field == judge.Type {
		return 0
	}
	if m.field == unknown {
		d.Event.Other -= m.hash
		another := *m
		pos = d.unknownValue(&another, pos)
	} else {
		pos = d.value(m.field, pos)
	}
	if d.Faults() > 0 {
		return 0
	}
	return pos
}

// learn reads a variation in which other values change than were expected to.
func (d *Decoder) learn(pos int) int {
	s := d.shape
	shift := pos - s.begin
	differ := d.differ(s.begin, s.end, shift)
	if differ < int(s.values[0].begin) {
		return 0
	}
	*d.Event = *s.event
	d.Open(s.Members)
	changing := s.changing
	for i, v := range s.values[:s.n] {
		if differ > int(v.end) { // the same value, and the same byte behind it
			continue
		}
		if differ < int(v.begin) {
			return 0
		}
		end := d.change(i, int(v.begin)+shift)
		if end <= 0 {
			return 0
		}
		changing |= 1 << i
		shift = end - int(v.end)
		differ = d.differ(int(v.end), s.end, shift)
	}
	if differ < s.end {
		return 0
	}
	if changing != s.changing {
		s.changing = changing
		s.expect()
	}
	return s.end + shift
}

// differ returns the first position in [from, end) whose byte is not equal to the
// one shift behind it, or else end.
func (d *Decoder) differ(from, end, shift int) int {
	was, is := d.data[from:end], d.data[from+shift:]
	n := min(len(was), len(is))
	was, is = was[:n], is[:n]
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(was[i:]) ^ binary.LittleEndian.Uint64(is[i:]); x != 0 {
			return from + i + bits.TrailingZeros64(x)>>3
		}
	}
	for i < n && was[i] == is[i] {
		i++
	}
	return from + i
}

// anew reads the event at begin from its start.
func (d *Decoder) anew() int {
	e := d.Event
	*e = store.Event{}
	s := d.shape
	d.Open(judge.Members{})
	s.n = 0
	d.unknown = d.unknown[:0]

	pos := d.space(d.begin + 1)
	if pos < len(d.data) && d.data[pos] == '}' {
		return pos + 1
	}
	for {
		at := min(s.n, maxMembers)
		s.n++
		if pos = d.member(&s.list[at], &s.values[at], pos); pos < 0 {
			return -1
		}
		if pos < len(d.data) && d.data[pos] <= ' ' {
			pos = d.space(pos)
		}
		if pos >= len(d.data) {
			return d.fail("object without an end")
		}
		switch d.data[pos] {
		case ',':
			pos++
			if pos < len(d.data) && d.data[pos] != '"' {
				pos = d.space(pos)
			}
		case '}':
			return pos + 1
		default:
			return d.fail("neither comma nor closing brace behind a value")
		}
	}
}

// member reads a member whose name is at pos.
func (d *Decoder) member(m *member, v *span, pos int) int {
	n, pos := d.knownName(pos)
	if pos < 0 {
		return -1
	}
	if n == nil {
		if n, pos = d.otherName(m, pos); pos < 0 {
			return -1
		}
	}
	if pos = d.colon(pos); pos < 0 {
		return -1
	}
	v.begin, m.null = int32(pos), d.data[pos] == 'n'
	if n == nil {
		m.field = unknown
		d.Other = true
		pos = d.unknownValue(m, pos)
		v.end = int32(pos)
		return pos
	}
	f := n.field
	m.field = f
	d.Give(f)
	if m.null {
		pos = d.literal(pos, "null")
		v.end = int32(pos)
		return pos
	}
	d.Present |= 1 << f
	if n.lasso {
		d.Lasso |= 1 << f
	}
	pos = d.value(f, pos)
	v.end = int32(pos)
	return pos
}

// knownName reads a name at pos, in its usual spelling and without escapes. Else
// it returns nil and the same position.
func (d *Decoder) knownName(pos int) (*name, int) {
	if pos >= len(d.data) || d.data[pos] != '"' {
		return nil, d.fail("object member without a name")
	}
	if pos+9 <= len(d.data) {
		for i := nameKey(binary.LittleEndian.Uint64(d.data[pos+1:])); names[i].quoted != ""; i = (i + 1) % uint(len(names)) {
			if n := &names[i]; d.matches(pos, n.quoted) {
				return n, pos + len(n.quoted)
			}
		}
	}
	return nil, pos
}

// otherName reads any name at pos. It returns nil for those that are not known; a
// known name in other letters is not known, and all the same may not occur beside
// the right one.
func (d *Decoder) otherName(m *member, pos int) (*name, int) {
	mark := len(d.arena)
	text, pos := d.text(pos)
	d.arena = d.arena[:mark]
	if pos < 0 {
		return nil, -1
	}
	if n := namesByText[text]; n != nil {
		return n, pos
	}
	m.name = maphash.String(seed, text)
	lower := strings.ToLower(text)
	if n := namesByText[lower]; n != nil {
		if d.Given&(1<<n.field) != 0 {
			d.Fault(judge.Fault{Field: n.field, Code: "duplicate_name", Detail: "the name occurs twice, in different letters"})
		}
		d.Given |= 1 << n.field
		return nil, pos
	}
	hash := maphash.String(seed, lower)
	for _, h := range d.unknown {
		if h == hash {
			d.Fault(judge.Fault{Field: judge.Whole, Path: shown(text), Code: "duplicate_name", Detail: "the name occurs twice"})
			break
		}
	}
	if len(d.unknown) >= maxUnknown {
		d.Fault(judge.Fault{Field: judge.Whole, Code: "out_of_range", Detail: "more than 64 unknown names"})
	} else {
		d.unknown = append(d.unknown, hash)
	}
	return nil, pos
}

// maxUnknown bounds the names that are compared with each other.
const maxUnknown = 64

// colon reads what is between a name and its value, which there must be.
func (d *Decoder) colon(pos int) int {
	if pos < len(d.data) && d.data[pos] <= ' ' {
		pos = d.space(pos)
	}
	if pos >= len(d.data) || d.data[pos] != ':' {
		return d.fail("object member without a colon")
	}
	pos++
	if pos < len(d.data) && d.data[pos] <= ' ' {
		pos = d.space(pos)
	}
	if pos >= len(d.data) {
		return d.fail("object without an end")
	}
	return pos
}

// unknownValue skips the value of an unknown name, but counts it into the
// identity: in any order of members, but with whitespace between tokens left out.
func (d *Decoder) unknownValue(m *member, pos int) int {
	mark := len(d.arena)
	d.arena = binary.LittleEndian.AppendUint64(d.arena, m.name)
	end := d.skip(pos, 1)
	m.hash = maphash.Bytes(seed, d.arena[mark:])
	d.arena = d.arena[:mark]
	d.Event.Other += m.hash
	return end
}

func (d *Decoder) matches(pos int, text string) bool {
	end := pos + len(text)
	return end <= len(d.data) && string(d.data[pos:end]) == text
}

// shown is a name of the sender's as it may stand in an answer.
func shown(name string) string {
	if len(name) > ids.Max {
		name = name[:ids.Max]
	}
	return strings.Clone(strings.ToValidUTF8(name, "�"))
}
