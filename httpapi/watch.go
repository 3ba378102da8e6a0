package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"time"
)

// serveLines runs a stream as lines of JSON: each is the data of a frame with the
// name of the event in front.
func (a *API) serveLines(w http.ResponseWriter, r *http.Request, f *feeder) {
	streamHead(w.Header(), "ndjson")
	out := &lineSink{w: w, controller: http.NewResponseController(w), timeout: a.options.WriteTimeout}
	if err := f.run(r.Context().Done(), out); errors.Is(err, errSlow) {
		a.noteCut(f.sub)
		panic(http.ErrAbortHandler) // the server is not to end it well
	}
}

type lineSink struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	timeout    time.Duration
}

func (s *lineSink) line(event string, data []byte) error {
	_ = s.controller.SetWriteDeadline(time.Now().Add(s.timeout)) // a writer without deadlines has none to miss
	if _, err := fmt.Fprintf(s.w, `{"event":"%s",`, event); err != nil {
		return slowOr(err)
	}
	if _, err := s.w.Write(data[1:]); err != nil { // all but the opening brace
		return slowOr(err)
	}
	if _, err := s.w.Write([]byte{'\n'}); err != nil {
		return slowOr(err)
	}
	return s.flush()
}

func (s *lineSink) flush() error {
	err := slowOr(s.controller.Flush())
	_ = s.controller.SetWriteDeadline(time.Time{}) // HTTP/2 resets a stream whose deadline passes, written to or not
	return err
}

func (s *lineSink) hello(string) error { return nil }

func (s *lineSink) frame(event string, fr *frame) error { return s.line(event, fr.data) }

// beat writes an empty line, which readers of lines of JSON skip.
func (s *lineSink) beat() error {
	_ = s.controller.SetWriteDeadline(time.Now().Add(s.timeout))
	if _, err := s.w.Write([]byte{'\n'}); err != nil {
		return slowOr(err)
	}
	return s.flush()
}

func (s *lineSink) bye(reason, _ string) error {
	return s.line("bye", []byte(`{"reason":"`+reason+`"}`))
}

// slowOr makes it recognisable that a deadline was missed: the node's, or the system's for
// what is acknowledged.
func slowOr(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		return errSlow
	}
	return err
}
