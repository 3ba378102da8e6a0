// Package ingest turns request bodies into events in the store: it reads,
// decompresses and decodes them, judges every event and applies the good ones.
//
// An [Ingester] is safe for concurrent use. A body is worked through in the
// goroutine of its caller, when it is its turn.
package ingest

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"remuda/store"
)

// Options configure an Ingester. The zero value of a limit takes its default.
type Options struct {
	Store       *store.Store
	MaxBody     int64 // bytes of a body as sent; default 8 MiB, at most 1 GiB
	MaxInflated int64 // bytes of a body after decompression; default 64 MiB, at most 1 GiB
	MaxLine     int   // bytes of one event; default 64 KiB
	MaxInFlight int64 // bytes that all bodies may hold; default a sixth of the memory limit, at most 256 MiB
}

// An Ingester takes in the bodies of events. See the package documentation.
type Ingester struct {
	options Options
	chunk   int // events that are applied together
	memory  memory
	gate    *gate
	work    sync.Pool
}

// maxBuffer is what offsets into a body have room for.
const maxBuffer = 1 << 30

// New returns an ingester.
func New(o Options) (*Ingester, error) {
	if o.Store == nil {
		return nil, errors.New("ingest: no store")
	}
	if o.MaxBody < 0 || o.MaxInflated < 0 || o.MaxLine < 0 || o.MaxInFlight < 0 {
		return nil, errors.New("limits of ingestion cannot be negative")
	}
	if o.MaxBody > maxBuffer || o.MaxInflated > maxBuffer {
		return nil, errors.New("bodies cannot be larger than 1 GiB")
	}
	if o.MaxBody == 0 {
		o.MaxBody = 8 << 20
	}
	if o.MaxInflated == 0 {
		o.MaxInflated = 64 << 20
	}
	if o.MaxLine == 0 {
		o.MaxLine = 64 << 10
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = defaultInFlight()
	}
	// A body for which there can never be room would be told to come again for ever.
	// A buffer that grows takes its size and a half.
	o.MaxBody, o.MaxInflated = min(o.MaxBody, o.MaxInFlight/4), min(o.MaxInflated, o.MaxInFlight/2)
	g := &Ingester{options: o, chunk: chunkEvents}
	g.memory.limit = o.MaxInFlight
	g.gate = newGate(2 * runtime.GOMAXPROCS(0))
	g.work.New = func() any { return g.newWork() }
	return g, nil
}

// InFlight is how many bytes bodies hold, and how many they may.
func (g *Ingester) InFlight() (now, limit int64) { return g.memory.inFlight(), g.options.MaxInFlight }

// Waiting is how many bodies wait for their turn, and how long one does at most.
func (g *Ingester) Waiting() (now int, most time.Duration) { return g.gate.queue(), longest }

// Limits are the bounds of a body: bytes as sent, bytes after decompression,
// bytes of one event.
func (g *Ingester) Limits() (body, inflated int64, line int) {
	return g.options.MaxBody, g.options.MaxInflated, g.options.MaxLine
}

// An Error says why a body was refused as a whole. Nothing of it was counted.
type Error struct {
	code       string
	detail     string
	retryAfter time.Duration
}

func (e *Error) Error() string { return e.detail }

// Code is the machine's name of the reason: malformed_body, damaged_compression,
// body_too_large, inflated_too_large, unsupported_media_type,
// unsupported_encoding, overloaded, read_timeout or canceled.
func (e *Error) Code() string { return e.code }

// RetryAfter is when to try again; 0 when that would not help.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

// A Body is what a sender posts. Only Reader is needed.
type Body struct {
	io.Reader        // the bytes as sent, up to io.EOF; a [Source], if more is known of them
	Type      string // the media type, as Content-Type has it; "" leaves it to the first byte
	Encoding  string // gzip or zstd, as Content-Encoding has it; "" is neither
	Length    int64  // bytes as sent, if that was announced; 0 or less if not
	Strict    bool   // count all events or none
}

// Ingest reads a body to its end and counts its events. An error, which is an [*Error],
// means that nothing was counted; so does a strict body of which any event was
// refused, whose receipt then has nothing accepted. (Only when bodies compete for
// the last room for new series can a strict one come to be refused in part.)
func (g *Ingester) Ingest(ctx context.Context, b Body) (store.Receipt, error) {
	if b.Length > g.options.MaxBody {
		return store.Receipt{}, g.tooLarge()
	}
	encoding, err := encodingOf(b.Encoding)
	if err != nil {
		return store.Receipt{}, err
	}
	sent := buffer{memory: &g.memory}
	defer sent.drop()
	source, ok := b.Reader.(Source)
	if ok {
		sent.whole = source.Whole()
	}
	if !sent.whole {
		if err := g.await(&sent, b); err != nil {
			return store.Receipt{}, err
		}
	}
	if err := g.gate.enter(ctx, source); err != nil {
		return store.Receipt{}, err
	}
	defer g.gate.leave()
	if sent.whole { // nothing of it has been read so far
		sent.allowed = turnMemory
		if err := g.readError(sent.fill(b.Reader, max(b.Length, 0), g.options.MaxBody)); err != nil {
			return store.Receipt{}, err
		}
	}
	w := g.work.Get().(*work)
	defer func() {
		w.release()
		g.work.Put(w)
	}()
	w.body = sent.bytes
	if err := w.inflate(encoding); err != nil {
		return store.Receipt{}, err
	}
	if err := w.open(b.Type); err != nil {
		return store.Receipt{}, err
	}
	return w.ingest(b.Strict)
}
