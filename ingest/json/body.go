// Package json reads events from JSON: objects in lines, or a document that is one or an
// array of them. It says what was present and how it was spelled; whether that is good is
// for [judge] to say.
package json

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"

	"remuda/ingest/judge"
	"remuda/store"
)

// form is how a body, or the rest of one, is to be read.
type form uint8

const (
	lines    form = iota // objects with any whitespace between them
	document             // one JSON object or array; objects in lines too, see document
	elements             // behind an element of the array that a document is
	ended                // behind the end of a document
)

// mediaForms are the forms by media type. Those that say little or nothing of it leave
// it to the first byte of the body.
var mediaForms = map[string]func(body []byte) (f form, ok bool){
	"application/x-ndjson": always(lines), "application/ndjson": always(lines), "application/json": always(document),
	"": byFirstByte, "application/x-www-form-urlencoded": byFirstByte, // what curl adds by itself
	"text/plain": byFirstByte, "application/octet-stream": byFirstByte,
	"application/jsonl": byFirstByte, "application/x-jsonl": byFirstByte, "text/jsonl": byFirstByte, "text/x-jsonl": byFirstByte,
	"application/jsonlines": byFirstByte, "application/x-jsonlines": byFirstByte, "text/x-ndjson": byFirstByte,
}

// Types are the media types of bodies that a [Decoder] reads.
var Types = slices.Collect(maps.Keys(mediaForms))

func always(f form) func([]byte) (form, bool) { return func([]byte) (form, bool) { return f, true } }

func byFirstByte(body []byte) (f form, ok bool) {
	switch body = bytes.TrimLeft(body, " \t\r\n"); {
	case len(body) == 0 || body[0] == '{':
		return lines, true
	case body[0] == '[':
		return document, true
	}
	return 0, false
}

// byteOrderMark begins files of some editors and shells.
var byteOrderMark = []byte("\ufeff")

func withoutMark(body []byte) []byte { return bytes.TrimPrefix(body, byteOrderMark) }

// Begin begins with a body of one of the media types, whose events are judged at one
// instant, in ms. An error says why it cannot be of that type.
func (d *Decoder) Begin(media string, body []byte, now int64) error {
	d.data, d.pos = body, 0
	d.Start(now)
	d.Forget()
	clear(d.ids[:])
	var ok bool
	if d.form, ok = mediaForms[media](withoutMark(body)); !ok {
		return errors.New("a body whose media type does not say what it is must begin with { or [; or send application/x-ndjson or application/json")
	}
	return nil
}

// keptArena is the largest arena that is kept for the next body.
const keptArena = 1 << 20

// End lets go of the body, and of memory that is unusually large.
func (d *Decoder) End() {
	d.data = nil
	d.Start(0)
	d.Forget()
	clear(d.ids[:])
	if cap(d.arena) > keptArena {
		d.arena = nil
	}
}

// Settled reports whether what has been read stands, whatever follows: lines do, and a
// document only as a whole.
func (d *Decoder) Settled() bool { return d.form == lines }

// Next reads the next event into e, which is good unless it is refused before the next
// call, and returns the case for the verdict on it. The error is io.EOF behind the last
// one; any other says what is wrong with the body as a whole, at the offset of the case.
func (d *Decoder) Next(e *store.Event) (*judge.Case, error) {
	if d.anewed {
		d.keep()
	}
	// Fast path: an object of lines.
	if pos := d.space(d.pos); d.form == lines && pos < len(d.data) && d.data[pos] == '{' {
		if end := d.object(e, pos); end > 0 {
			return &d.Case, d.found(pos, end)
		}
		return &d.Case, d.spoilt(pos)
	}
	return &d.Case, d.next(e)
}

func (d *Decoder) next(e *store.Event) error {
	switch d.form {
	case lines:
		return d.line(e)
	case document:
		return d.document(e)
	case elements:
		switch d.pos = d.space(d.pos); {
		case d.pos < len(d.data) && d.data[d.pos] == ',':
			d.pos = d.space(d.pos + 1)
			return d.element(e)
		case d.pos < len(d.data) && d.data[d.pos] == ']':
			d.form = ended
			d.pos++
		default:
			return d.malformed(d.pos, "neither comma nor closing bracket behind a value")
		}
	}
	if d.pos = d.space(d.pos); d.pos < len(d.data) {
		return d.malformed(d.pos, "data behind the end of the JSON text")
	}
	return io.EOF
}

// Done reports whether nothing follows, not even what is wrong.
func (d *Decoder) Done() bool {
	pos := d.space(d.pos)
	switch d.form {
	case document:
		return false
	case elements:
		if pos == len(d.data) || d.data[pos] != ']' {
			return false
		}
		pos = d.space(pos + 1)
	}
	return pos == len(d.data)
}

// found is the event that reaches from begin to end.
func (d *Decoder) found(begin, end int) error {
	d.Offset, d.Size, d.pos = begin, end-begin, end
	return nil
}

// line reads an object with any whitespace, or none, before it. What is no object spoils
// the rest of the line it begins on, and nothing else. Byte order marks before objects are
// skipped: files that have one may have been put together.
func (d *Decoder) line(e *store.Event) error {
	begin := d.space(d.pos)
	for begin < len(d.data) && d.data[begin] == byteOrderMark[0] && bytes.HasPrefix(d.data[begin:], byteOrderMark) {
		begin = d.space(begin + len(byteOrderMark))
	}
	if begin == len(d.data) {
		return io.EOF
	}
	if d.data[begin] == '{' {
		if end := d.object(e, begin); end > 0 {
			return d.found(begin, end)
		}
	} else {
		d.nothing()
		d.fail("not a JSON object")
	}
	return d.spoilt(begin)
}

// spoilt is what is no object, and reaches to the end of its line.
func (d *Decoder) spoilt(begin int) error {
	d.Unfit("malformed", d.problem)
	end := len(d.data)
	if n := bytes.IndexByte(d.data[begin:], '\n'); n >= 0 {
		end = begin + n + 1
	}
	return d.found(begin, end)
}

// document reads one object, or the first of an array of them. Where a second object
// follows the first, or begins the line below one that is damaged, the body is lines under
// a wrong label, and is read as such.
func (d *Decoder) document(e *store.Event) error {
	begin := d.space(len(d.data) - len(withoutMark(d.data)))
	if begin == len(d.data) {
		return d.malformed(begin, "the body is empty")
	}
	switch d.data[begin] {
	case '{':
		pos := d.object(e, begin)
		if pos < 0 {
			problem := d.problem
			below := bytes.IndexByte(d.data[begin:], '\n') + 1
			if below == 0 || begin+below == len(d.data) || d.data[begin+below] != '{' {
				return d.malformed(begin, problem)
			}
			d.Refuse()
			d.form, d.pos = lines, begin
			return d.line(e)
		}
		d.form = ended
		if next := d.space(pos); next < len(d.data) && d.data[next] == '{' {
			d.form = lines
		}
		return d.found(begin, pos)
	case '[':
		d.pos = d.space(begin + 1)
		if d.pos < len(d.data) && d.data[d.pos] == ']' {
			d.form = ended
			d.pos++
			return d.next(e)
		}
		return d.element(e)
	}
	return d.malformed(begin, "not a JSON object or array")
}

// element reads one element of an array of events.
func (d *Decoder) element(e *store.Event) error {
	d.form = elements
	begin := d.pos
	if begin < len(d.data) && d.data[begin] == '{' {
		pos := d.object(e, begin)
		if pos < 0 {
			return d.malformed(begin, d.problem)
		}
		return d.found(begin, pos)
	}
	d.nothing()
	pos := d.skip(begin, 1)
	if pos < 0 {
		return d.malformed(begin, d.problem)
	}
	d.Unfit("wrong_type", "must be an object")
	err := d.found(begin, pos)
	d.Size = 0 // it is refused for what it is, however long
	return err
}

func (d *Decoder) malformed(pos int, detail string) error {
	d.Offset = min(pos, len(d.data))
	return errors.New(detail)
}

// nothing is what was read of what is no object.
func (d *Decoder) nothing() {
	d.mark()
	d.Open(judge.Members{})
}
