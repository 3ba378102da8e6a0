package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxRatio is how much larger than its compressed form a body may be that would not
// be taken as it is: events compress well, but mostly not like that.
const maxRatio = 100

// read reads the body of a request, decompressed, into w.body.
func (w *work) read(r *http.Request) error {
	limit := w.ingester.options.MaxBody
	tooLarge := &Error{code: "body_too_large", detail: fmt.Sprintf("the body is larger than %d bytes", limit)}
	if r.ContentLength > limit {
		return tooLarge
	}
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	switch encoding {
	case "", "identity", "gzip", "x-gzip", "zstd":
	default:
		return &Error{code: "unsupported_encoding", detail: "Content-Encoding must be gzip or zstd, or absent"}
	}
	var err error
	if w.raw, err = w.fill(w.raw[:0], r.Body, max(r.ContentLength, 0), limit); err != nil {
		return readError(err, tooLarge)
	}
	if err := w.ingester.turns.take(r.Context()); err != nil {
		return err
	}
	w.turn = true
	w.body = w.raw
	switch encoding {
	case "gzip", "x-gzip":
		return w.inflate(&gzipReaders)
	case "zstd":
		return w.inflate(&zstdReaders)
	}
	return nil
}

var errLimit = errors.New("limit reached")

// fill reads to the end of a stream, at most limit bytes, of which about expected
// will come. Memory is reserved as it is needed: a sender that announces much and
// sends little holds little.
func (w *work) fill(buf []byte, from io.Reader, expected, limit int64) ([]byte, error) {
	const firstStep = 512 << 10
	if err := w.reserve(int64(cap(buf))); err != nil {
		return buf, err
	}
	for {
		if len(buf) == cap(buf) {
			size := max(int64(cap(buf))*2, 4096)
			if expected > 0 {
				size = max(min(expected+1, int64(cap(buf))+firstStep), size) // one more, to see the end
			}
			size = min(size, limit+1)
			if err := w.reserve(size - int64(cap(buf))); err != nil {
				return buf, err
			}
			grown := make([]byte, len(buf), size)
			copy(grown, buf)
			buf = grown
		}
		n, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return buf, errLimit
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// reserve takes a share of the bytes that may be in flight. It is given back
// when the body is done.
func (w *work) reserve(n int64) error {
	g := w.ingester
	if g.inFlight.Add(n) > g.options.MaxInFlight {
		g.inFlight.Add(-n)
		return &Error{code: "overloaded", detail: "too many bodies are being worked on", retryAfter: time.Second}
	}
	w.reserved += n
	return nil
}

func readError(err error, tooLarge *Error) error {
	var own *Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, errLimit):
		return tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{code: "read_timeout", detail: "the body did not come in time"}
	case errors.Is(err, context.Canceled):
		return &Error{code: "canceled", detail: "the client went away"}
	}
	return &Error{code: "malformed_body", detail: "the body ended early or was not framed as HTTP wants it"}
}

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

func (w *work) inflate(pool *sync.Pool) error {
	damaged := &Error{code: "damaged_compression", detail: "the compressed body is damaged, cut off, or asks for a window over 8 MiB"}
	if len(w.raw) == 0 {
		return damaged // zstd would take it for no frame at all
	}
	o := &w.ingester.options
	limit := max(o.MaxBody, min(o.MaxInflated, maxRatio*int64(len(w.raw))))
	r := pool.Get().(resettable)
	defer func() {
		_ = r.Reset(bytes.NewReader(nil)) // lets go of the body
		pool.Put(r)
	}()
	if err := r.Reset(bytes.NewReader(w.raw)); err != nil {
		return damaged
	}
	var err error
	if w.inflated, err = w.fill(w.inflated[:0], r, 0, limit); err != nil {
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
	w.body = w.inflated
	return nil
}
