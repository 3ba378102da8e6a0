package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"remuda/ingest/judge"
	"remuda/store"
)

// chunkEvents is how many events are decoded before they are applied: enough to
// share locks, few enough to stay in the cache.
const chunkEvents = 512

// work is the memory for one body at a time.
type work struct {
	ingester *Ingester
	inflated buffer
	body     []byte // as it was sent, or inflated

	decoder  Decoder   // of this body
	media    string    // what the body is
	decoders []Decoder // by format, those that were needed so far

	*judge.Case               // the event read last
	nextIndex   int           // of it, in the body
	events      []store.Event // decoded and good, not yet applied
	offsets     []int32       // where each of them begins
	indexes     []int32       // and which of the body it is
	mostEvents  int           // that were held at a time

	strict    bool
	judged    bool            // the whole body was judged: what is good of it is applied
	partial   bool            // events that were judged had to make room for others
	alike     store.Body      // the events of the body that are equal to each other
	refused   []store.Refused // by sender
	lastFault                 // of them
	receipt   store.Receipt
	lineAt    int // lineNo is the line of this offset
	lineNo    int
}

func (g *Ingester) newWork() *work {
	return &work{
		ingester: g, events: make([]store.Event, 0, g.chunk), inflated: buffer{memory: &g.memory, allowed: turnMemory},
		decoders: make([]Decoder, len(formats)),
	}
}

// release forgets the body, and memory that is unusually large.
func (w *work) release() {
	if w.decoder != nil {
		w.decoder.End()
	}
	clear(w.events[:w.mostEvents]) // they point into the body
	w.mostEvents = 0
	w.body, w.decoder, w.Case = nil, nil, nil
	w.inflated.drop()
	w.receipt = store.Receipt{}
}

// ingest decodes the body and applies what is good. Bodies whose end can spoil
// their beginning, documents and strict ones, are judged whole first. Long ones
// are then decoded again to be applied: that bounds the memory, however many
// events there are.
func (w *work) ingest(strict bool) (store.Receipt, error) {
	now := w.ingester.options.Store.Now() // one for all: judged again, an event is judged alike
	defer func() { w.ingester.options.Store.NoteRefused(w.refused) }()
	w.strict, w.judged = strict, false
	w.alike.Reset()
	if err := w.pass(now); err != nil {
		return store.Receipt{}, err
	}
	if strict && w.receipt.Rejected > 0 {
		w.receipt.Accepted, w.receipt.Adjusted = 0, 0
		return w.receipt, nil
	}
	w.judged = true
	if w.partial {
		if err := w.pass(now); err != nil {
			return store.Receipt{}, err
		}
	}
	w.flush()
	return w.receipt, nil
}

// pass goes through the body once. It leaves events to be flushed.
func (w *work) pass(now int64) error {
	w.events, w.offsets, w.indexes = w.events[:0], w.offsets[:0], w.indexes[:0]
	w.receipt, w.refused = store.Receipt{}, w.refused[:0]
	w.partial = false
	w.nextIndex, w.lineAt, w.lineNo = 0, 0, 1
	if err := w.decoder.Begin(w.media, w.body, now); err != nil {
		return &Error{code: "unsupported_media_type", detail: err.Error()}
	}
	for {
		if len(w.events) == cap(w.events) {
			if w.decoder.Done() {
				return nil // the last ones need not make room
			}
			w.flush()
		}
		var err error
		if w.Case, err = w.decoder.Next(w.slot()); err == nil {
			w.take()
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		w.blame("malformed_body", "")
		return &Error{code: "malformed_body", detail: fmt.Sprintf("line %d: %s", w.line(w.Offset), err)}
	}
}

// slot returns the event to decode into.
func (w *work) slot() *store.Event {
	n := len(w.events)
	w.mostEvents = max(w.mostEvents, n+1)
	return &w.events[:n+1][n]
}

// take judges the event just decoded.
func (w *work) take() {
	if w.Size > w.ingester.options.MaxLine {
		w.refuse(judge.Fault{
			Field: judge.Whole, Code: "too_long", Detail: fmt.Sprintf("longer than %d bytes", w.ingester.options.MaxLine),
		})
		return
	}
	f, adjusted := w.Verdict()
	if f.Code != "" {
		w.refuse(f)
		return
	}
	if w.strict && !w.judged && !w.ingester.options.Store.Admit(w.Event, &w.alike) {
		w.refuse(judge.Fault{Field: judge.Whole, Code: "too_many_series", Detail: "this node has no room for it"})
		return
	}
	if adjusted {
		w.receipt.Adjusted++
	}
	w.events = w.events[:len(w.events)+1]
	w.offsets = append(w.offsets, int32(w.Offset))
	w.indexes = append(w.indexes, int32(w.nextIndex))
	w.nextIndex++
}

func (w *work) refuse(f judge.Fault) {
	w.receipt.Rejected++
	sender := w.blame(f.Code, f.Field.String())
	if len(w.receipt.Refusals) < store.MaxListedRefusals {
		w.receipt.Refusals = append(w.receipt.Refusals, store.Refusal{
			Line: w.line(w.Offset), Index: w.nextIndex, Code: f.Code, Sender: sender,
			Field: strings.Clone(f.Name()), Detail: strings.Clone(f.Detail), // they outlive the body
		})
	}
	w.nextIndex++
	w.decoder.Refuse()
}

// line is the number of the line that an offset is in. Offsets mostly ascend.
func (w *work) line(offset int) int {
	if offset < w.lineAt {
		w.lineAt, w.lineNo = 0, 1
	}
	w.lineNo += bytes.Count(w.body[w.lineAt:offset], []byte{'\n'})
	w.lineAt = offset
	return w.lineNo
}

// flush applies the events decoded so far, or drops them when they are only
// judged.
func (w *work) flush() {
	if w.judged || !w.strict && w.decoder.Settled() {
		w.apply()
	} else {
		w.partial = true
	}
	w.events, w.offsets, w.indexes = w.events[:0], w.offsets[:0], w.indexes[:0]
	w.decoder.Forget()
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
