package stream

import (
	"errors"
	"net/http"
	"os"
	"syscall"
	"time"
)

// serveLines runs a stream as lines of JSON: each is the data of a frame with the
// name of the event in front.
func (s *Streams) serveLines(w http.ResponseWriter, r *http.Request, f *feeder) {
	streamHead(w.Header(), "ndjson", false)
	s.serveWith(r, f, &lineSink{newPatientWriter(s, w)})
}

// serveWith runs a stream on the goroutine of its request.
func (s *Streams) serveWith(r *http.Request, f *feeder, out greeter) {
	if err := f.run(r.Context().Done(), out); errors.Is(err, errSlow) {
		s.noteCut(f.sub)
		panic(http.ErrAbortHandler) // the server is not to end it well
	}
}

// patientWriter writes to a request, and waits until it is taken within the write timeout.
type patientWriter struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	timeout    time.Duration
}

func newPatientWriter(s *Streams, w http.ResponseWriter) patientWriter {
	return patientWriter{w, http.NewResponseController(w), s.options.WriteTimeout}
}

// put writes all parts and flushes them.
func (p *patientWriter) put(parts ...[]byte) error {
	_ = p.controller.SetWriteDeadline(time.Now().Add(p.timeout)) // a writer without deadlines has none to miss
	for _, part := range parts {
		if _, err := p.w.Write(part); err != nil {
			return slowOr(err)
		}
	}
	err := slowOr(p.controller.Flush())
	_ = p.controller.SetWriteDeadline(time.Time{}) // HTTP/2 resets a stream whose deadline passes, written to or not
	return err
}

type lineSink struct{ patientWriter }

func (s *lineSink) hello(string) error { return nil }

func (s *lineSink) frame(event string, fr *frame) error {
	return s.put(lineHead(event), fr.data[1:], lineEnd)
}

// beat writes an empty line, which readers of lines of JSON skip.
func (s *lineSink) beat() error { return s.put(lineEnd) }

func (s *lineSink) bye(reason, _ string) error { return s.put(byeLine(reason)) }

var lineEnd = []byte{'\n'}

// lineHead is what is before the data of a line, less its brace.
func lineHead(event string) []byte { return []byte(`{"event":"` + event + `",`) }

func byeLine(reason string) []byte { return append(lineHead("bye"), `"reason":"`+reason+"\"}\n"...) }

// slowOr makes it recognisable that a deadline was missed: the node's, or the system's for
// what is acknowledged.
func slowOr(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		return errSlow
	}
	return err
}
