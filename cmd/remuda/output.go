package main

import (
	"bytes"
	"io"
	"log/slog"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// outliveReaders has writes to standard output and standard error fail when nobody
// reads them any more, instead of ending the program: a node lives longer than a log
// collector or a `| head`.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }

// logWriter writes lines in a goroutine of its own, so that nobody who logs waits for
// a reader of the log that has stopped. Beyond logLines lines that wait, new ones are
// dropped, and counted in the log once it goes on. It is safe for concurrent use.
type logWriter struct {
	lines   chan []byte
	dropped atomic.Int64
	ends    chan struct{}
	ended   chan struct{}
}

const (
	logLines    = 1000
	logPatience = time.Second // for what waits when the program ends
)

// newLog returns a logger, in one of the forms of --log-format, and its writer, which
// is to be closed.
func newLog(to io.Writer, format string, level slog.Level) (*slog.Logger, *logWriter) {
	form := func(to io.Writer) *slog.Logger {
		options := &slog.HandlerOptions{Level: level}
		if format == "json" {
			return slog.New(slog.NewJSONHandler(to, options))
		}
		return slog.New(slog.NewTextHandler(to, options))
	}
	w := &logWriter{lines: make(chan []byte, logLines), ends: make(chan struct{}), ended: make(chan struct{})}
	go w.run(to, form(to))
	return form(w), w
}

// run ends by Close, or never in a write that does not end. Nobody could be told that
// a write failed.
func (w *logWriter) run(to io.Writer, direct *slog.Logger) {
	defer close(w.ended)
	for ending := false; ; {
		select {
		case line := <-w.lines:
			_, _ = to.Write(line)
			if n := w.dropped.Swap(0); n > 0 {
				direct.Warn("the log is not complete: who reads it was behind", "lines_dropped", n)
			}
			continue
		default:
		}
		if ending {
			return
		}
		select {
		case line := <-w.lines:
			_, _ = to.Write(line)
		case <-w.ends:
			ending = true
		}
	}
}

// Write takes a line. It never fails.
func (w *logWriter) Write(line []byte) (int, error) {
	select {
	case w.lines <- bytes.Clone(line):
	default:
		w.dropped.Add(1)
	}
	return len(line), nil
}

// Close waits a moment for what is still to be written. It is called once.
func (w *logWriter) Close() {
	close(w.ends)
	select {
	case <-w.ended:
	case <-time.After(logPatience):
	}
}
