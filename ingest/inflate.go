package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

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
