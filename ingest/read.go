package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
