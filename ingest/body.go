package ingest

import (
	"bytes"
	"fmt"
	"mime"
	"slices"
	"strings"

	"remuda/store"
)

// form is how events are put together in a body.
type form uint8

const (
	lines    form = iota // objects with any whitespace between them
	document             // one JSON object or array; objects in lines too, see document
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

// formOf tells the form of a body.
func formOf(contentType string, body []byte) (form, error) {
	if contentType == "application/x-ndjson" { // as most senders spell it
		return lines, nil
	}
	media := ""
	if contentType != "" {
		if media, _, _ = mime.ParseMediaType(contentType); media == "" {
			media = contentType // it is none
		}
	}
	choose := mediaForms[media]
	if choose == nil {
		return 0, &Error{
			code:   "unsupported_media_type",
			detail: "the body must be application/x-ndjson or application/json; application/jsonl, text/plain, application/octet-stream and none do as well",
		}
	}
	f, ok := choose(withoutMark(body))
	if !ok {
		return 0, &Error{
			code:   "unsupported_media_type",
			detail: "a body whose media type does not say what it is must begin with { or [; or send application/x-ndjson or application/json",
		}
	}
	return f, nil
}

// byteOrderMark begins files of some editors and shells.
var byteOrderMark = []byte("\ufeff")

func withoutMark(body []byte) []byte { return bytes.TrimPrefix(body, byteOrderMark) }

// chunkEvents is how many events are decoded before they are applied: enough to
// share locks, few enough to stay in the cache.
const chunkEvents = 512

// work is the memory for one body at a time.
type work struct {
	ingester *Ingester
	inflated buffer
	body     []byte // as it was sent, or inflated

	decoder
	events  []store.Event // decoded and good, not yet applied
	offsets []int32       // where each of them begins
	indexes []int32
	next    int // index of the next event of the body
	filled  int // most events that were held at a time

	strict  bool
	counted bool // apply events, do not only judge them
	partial bool // events that were judged had to make room for others
	alike   store.Body
	refused []store.Refused // by sender
	lastFault
	receipt store.Receipt
	lineAt  int // lineNo is the line of this offset
	lineNo  int
}

func (g *Ingester) newWork() *work {
	w := &work{ingester: g, events: make([]store.Event, 0, g.chunk)}
	w.inflated = buffer{memory: &g.memory, allowed: turnMemory}
	w.decoder = decoder{
		node: g.options.Store.Node(), region: g.options.Store.Region(), chains: g.options.Store.Chains(), seed: g.seed,
		shape: new(shape), spare: new(shape), event: new(store.Event),
	}
	return w
}

// keptArena is the largest arena that is kept for the next body.
const keptArena = 1 << 20

// release forgets the body, and memory that is unusually large.
func (w *work) release() {
	w.reset(nil, 0)
	clear(w.events[:w.filled]) // they point into the body
	w.filled = 0
	w.body = nil
	w.inflated.drop()
	if cap(w.arena) > keptArena {
		w.arena = nil
	}
	w.receipt = store.Receipt{}
}

// ingest decodes the body and applies what is good. Bodies whose end can spoil
// their beginning, documents and strict ones, are judged whole first. Long ones
// are then decoded again to be applied: that bounds the memory, however many
// events there are.
func (w *work) ingest(f form, strict bool) (store.Receipt, error) {
	now := w.ingester.options.Store.Now() // one for all: judged again, an event is judged alike
	defer func() { w.ingester.options.Store.NoteRefused(w.refused) }()
	w.strict = strict
	w.counted = f == lines && !strict
	w.alike.Reset()
	if err := w.pass(f, now); err != nil {
		return store.Receipt{}, err
	}
	if strict && w.receipt.Rejected > 0 {
		w.receipt.Accepted, w.receipt.Adjusted = 0, 0
		return w.receipt, nil
	}
	if w.partial {
		w.counted = true
		if err := w.pass(f, now); err != nil {
			return store.Receipt{}, err
		}
	}
	w.counted = true
	w.flush()
	return w.receipt, nil
}

// pass goes through the body once. It leaves events to be flushed.
func (w *work) pass(f form, now int64) error {
	w.reset(w.body, now)
	w.events, w.offsets, w.indexes = w.events[:0], w.offsets[:0], w.indexes[:0]
	w.receipt, w.refused = store.Receipt{}, w.refused[:0]
	w.partial = false
	w.next, w.lineAt, w.lineNo = 0, 0, 1
	if f == document {
		return w.document()
	}
	w.lines(0)
	return nil
}

// lines reads objects with any whitespace, or none, between them. What is no
// object spoils the rest of the line it begins on, and nothing else. Byte order marks
// before objects are skipped: files that have one may have been put together.
func (w *work) lines(pos int) {
	for {
		if pos = w.space(pos); pos == len(w.data) {
			return
		}
		begin := pos
		if w.data[pos] != '{' {
			if bytes.HasPrefix(w.data[pos:], byteOrderMark) {
				pos += len(byteOrderMark)
				continue
			}
			w.nothing()
			pos = w.fail("not a JSON object")
		} else {
			pos = w.object(w.slot(), pos)
		}
		if pos < 0 {
			detail := w.problem
			end := bytes.IndexByte(w.data[begin:], '\n')
			if pos = begin + end + 1; end < 0 {
				pos = len(w.data)
			}
			if pos-begin > w.ingester.options.MaxLine {
				w.tooLong(begin)
			} else {
				w.refuse(begin, fault{field: fieldWhole, code: "malformed", detail: detail})
			}
			continue
		}
		w.take(begin, pos)
	}
}

// document reads one object, or an array of them. Where a second object follows the
// first, or begins the line below one that is damaged, the body is lines under a wrong
// label, and is read as such.
func (w *work) document() error {
	pos := w.space(len(w.data) - len(withoutMark(w.data)))
	if pos == len(w.data) {
		return w.malformed(pos, "the body is empty")
	}
	switch w.data[pos] {
	case '{':
		begin := pos
		if pos = w.object(w.slot(), pos); pos < 0 {
			problem := w.problem
			if below := bytes.IndexByte(w.data[begin:], '\n') + 1; below == 0 || begin+below == len(w.data) || w.data[begin+below] != '{' {
				return w.malformed(begin, problem)
			}
			w.discard()
			w.drop()
			pos = begin
		} else {
			w.take(begin, pos)
			if pos = w.space(pos); pos == len(w.data) || w.data[pos] != '{' {
				break
			}
		}
		w.counted = w.counted || !w.strict
		w.lines(pos)
		return nil
	case '[':
		pos = w.space(pos + 1)
		if pos < len(w.data) && w.data[pos] == ']' {
			pos++
			break
		}
		for closed := false; !closed; {
			begin := pos
			if pos = w.element(pos); pos < 0 {
				return w.malformed(begin, w.problem)
			}
			pos = w.space(pos)
			switch {
			case pos < len(w.data) && w.data[pos] == ',':
				pos = w.space(pos + 1)
			case pos < len(w.data) && w.data[pos] == ']':
				pos++
				closed = true
			default:
				return w.malformed(pos, "neither comma nor closing bracket behind a value")
			}
		}
	default:
		return w.malformed(pos, "not a JSON object or array")
	}
	if pos = w.space(pos); pos < len(w.data) {
		return w.malformed(pos, "data behind the end of the JSON text")
	}
	return nil
}

// element reads one element of an array of events.
func (w *work) element(pos int) int {
	if pos < len(w.data) && w.data[pos] == '{' {
		end := w.object(w.slot(), pos)
		if end > 0 {
			w.take(pos, end)
		}
		return end
	}
	w.nothing()
	end := w.skip(pos, 1)
	if end > 0 {
		w.refuse(pos, fault{field: fieldWhole, code: "wrong_type", detail: "must be an object"})
	}
	return end
}

func (w *work) malformed(pos int, detail string) error {
	w.blame("malformed_body", "")
	return &Error{code: "malformed_body", detail: fmt.Sprintf("line %d: %s", w.line(min(pos, len(w.data))), detail)}
}

// slot returns the event to decode into.
func (w *work) slot() *store.Event {
	if len(w.events) == cap(w.events) {
		w.flush()
	}
	n := len(w.events)
	w.filled = max(w.filled, n+1)
	return &w.events[:n+1][n]
}

// take judges the event just decoded, which reaches from begin to end.
func (w *work) take(begin, end int) {
	if end-begin > w.ingester.options.MaxLine {
		w.tooLong(begin)
		return
	}
	f, adjusted := w.finish()
	if f.code != "" {
		w.refuse(begin, f)
		return
	}
	if w.strict && !w.counted && !w.ingester.options.Store.Admit(w.event, &w.alike) {
		w.refuse(begin, fault{field: fieldWhole, code: "too_many_series", detail: "this node has no room for it"})
		return
	}
	if adjusted {
		w.receipt.Adjusted++
	}
	w.keep(end)
	w.events = w.events[:len(w.events)+1]
	w.offsets = append(w.offsets, int32(begin))
	w.indexes = append(w.indexes, int32(w.next))
	w.next++
}

func (w *work) tooLong(begin int) {
	w.refuse(begin, fault{
		field: fieldWhole, code: "too_long", detail: fmt.Sprintf("longer than %d bytes", w.ingester.options.MaxLine),
	})
}

func (w *work) refuse(begin int, f fault) {
	w.receipt.Rejected++
	name := ""
	if f.field < numFields {
		name = fieldNames[f.field]
	}
	sender := w.blame(f.code, name)
	if len(w.receipt.Refusals) < store.MaxListedRefusals {
		r := store.Refusal{Line: w.line(begin), Index: w.next, Field: f.path, Code: f.code, Detail: f.detail, Sender: sender}
		if r.Field == "" {
			r.Field = name
		}
		r.Detail, r.Field = strings.Clone(r.Detail), strings.Clone(r.Field) // they outlive the body
		w.receipt.Refusals = append(w.receipt.Refusals, r)
	}
	w.next++
	w.discard()
	w.drop()
	w.place, w.placeID = "", "" // they may be in what was dropped
}

// line is the number of the line that an offset is in. Offsets mostly ascend.
func (w *work) line(offset int) int {
	if offset < w.lineAt {
		w.lineAt, w.lineNo = 0, 1
	}
	w.lineNo += bytes.Count(w.data[w.lineAt:offset], []byte{'\n'})
	w.lineAt = offset
	return w.lineNo
}

// flush applies the events decoded so far, or drops them when they are only
// judged.
func (w *work) flush() {
	if w.counted {
		w.apply()
	} else {
		w.partial = true
	}
	w.events, w.offsets, w.indexes = w.events[:0], w.offsets[:0], w.indexes[:0]
	w.forget()
	clear(w.attempts)
	w.arena, w.attempts = w.arena[:0], w.attempts[:0]
}

func (w *work) apply() {
	if len(w.events) == 0 {
		return
	}
	r := w.ingester.options.Store.ApplyPart(w.events, &w.alike)
	w.receipt.Accepted += r.Accepted
	w.receipt.Duplicates += r.Duplicates
	w.receipt.Rejected += r.Rejected
	if len(r.Refusals) == 0 {
		return
	}
	for _, refusal := range r.Refusals {
		i := refusal.Index
		refusal.Line, refusal.Index = w.line(int(w.offsets[i])), int(w.indexes[i])
		w.receipt.Refusals = append(w.receipt.Refusals, refusal)
	}
	// Those that were refused while decoding were not before these.
	slices.SortFunc(w.receipt.Refusals, func(a, b store.Refusal) int { return a.Index - b.Index })
	w.receipt.Refusals = w.receipt.Refusals[:min(len(w.receipt.Refusals), store.MaxListedRefusals)]
}
