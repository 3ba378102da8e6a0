package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A Source is the reader of a body that knows the connection it comes by. Other
// bodies are waited for before their turn, and are thought to be wanted.
type Source interface {
	io.Reader
	// Whole waits for the first bytes, and reports whether the rest has come too, so
	// that all can be read without waiting.
	Whole() bool
	// Gone reports whether the sender is.
	Gone() bool
	// Interrupt has a Read that waits, and later ones, return.
	Interrupt()
}

// encodingOf tells how a body is compressed: "", gzip or zstd.
func encodingOf(sent string) (string, error) {
	switch encoding := strings.ToLower(strings.TrimSpace(sent)); encoding {
	case "", "identity":
		return "", nil
	case "gzip", "x-gzip":
		return "gzip", nil
	case "zstd":
		return encoding, nil
	}
	return "", &Error{code: "unsupported_encoding", detail: "Content-Encoding must be gzip or zstd, or absent"}
}

func (g *Ingester) tooLarge() *Error {
	return &Error{code: "body_too_large", detail: fmt.Sprintf("the body is larger than %d bytes", g.options.MaxBody)}
}

// await reads a body that has not come yet.
func (g *Ingester) await(into *buffer, b Body) error {
	into.coming = &coming{interrupt: func() {}}
	if source, ok := b.Reader.(Source); ok {
		into.coming.interrupt = source.Interrupt
	}
	g.memory.begin(into.coming)
	err := into.fill(b.Reader, max(b.Length, 0), g.options.MaxBody)
	cut := g.memory.end(into.coming)
	into.coming = nil
	if cut && err != nil {
		return errFull
	}
	return g.readError(err)
}

func (g *Ingester) readError(err error) error {
	var own *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, errLimit):
		return g.tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{code: "read_timeout", detail: "the body did not come in time"}
	case errors.Is(err, context.Canceled):
		return errGone
	}
	return &Error{code: "malformed_body", detail: "the body ended early or was not framed as HTTP wants it"}
}

var errGone = &Error{code: "canceled", detail: "the client went away"}

// resettable is a decompressor that can be used again.
type resettable interface {
	io.Reader
	Reset(r io.Reader) error
}

var (
	gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}
	zstdReaders = sync.Pool{New: func() any {
		r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			panic("ingest: " + err.Error()) // the options are constants
		}
		return r
	}}
)

// maxRatio is how much larger than its compressed form a body may be that would not
// be taken as it is: events compress well, but mostly not like that.
const maxRatio = 100

// inflate has the body be what it is compressed from.
func (w *work) inflate(encoding string) error {
	pool := &gzipReaders
	switch encoding {
	case "":
		return nil
	case "zstd":
		pool = &zstdReaders
	}
	damaged := &Error{code: "damaged_compression", detail: "the compressed body is damaged, cut off, or asks for a window over 8 MiB"}
	if len(w.body) == 0 {
		return damaged // zstd would take it for no frame at all
	}
	o := &w.ingester.options
	limit := max(o.MaxBody, min(o.MaxInflated, maxRatio*int64(len(w.body))))
	r := pool.Get().(resettable)
	defer func() {
		_ = r.Reset(bytes.NewReader(nil)) // lets go of the body
		pool.Put(r)
	}()
	if err := r.Reset(bytes.NewReader(w.body)); err != nil {
		return damaged
	}
	if err := w.inflated.fill(r, 0, limit); err != nil {
		var own *Error
		switch {
		case errors.As(err, &own):
			return own
		case errors.Is(err, errLimit):
			detail := fmt.Sprintf("the body is larger than %d bytes once decompressed", limit)
			if limit < o.MaxInflated {
				detail += fmt.Sprintf(", and than %d times its size", maxRatio)
			}
			return &Error{code: "inflated_too_large", detail: detail}
		}
		return damaged
	}
	w.body = w.inflated.bytes
	return nil
}
