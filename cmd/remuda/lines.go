package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// line is a line of a file of events, or why there is none. Blank lines are left out.
type line struct {
	number int
	text   []byte // without its end
	err    error  // errLongLine, or what ended the reading
}

var errLongLine = errors.New("line too long")

// lineReader reads lines ahead of whoever sends them, aheadBytes at most; then the
// pipe fills, and who writes to it waits.
type lineReader struct {
	lines chan line // closed at the end
	room  *semaphore.Weighted
	read  atomic.Int64 // lines
}

const (
	aheadBytes  = 16 << 20
	lineCost    = 64      // of a line, besides its text
	maxSendLine = 8 << 20 // a longer line is not read; the node would refuse it anyway
)

// readLines reads until the input ends or the context does; a read that never returns
// ends with the program.
func readLines(ctx context.Context, in io.Reader) *lineReader {
	l := &lineReader{lines: make(chan line, 4096), room: semaphore.NewWeighted(aheadBytes)}
	go func() {
		defer close(l.lines)
		r := bufio.NewReaderSize(in, 256<<10)
		for n := 1; ; n++ {
			text, err := readLine(r)
			long := errors.Is(err, errLongLine)
			text = bytes.TrimRight(text, "\r\n")
			if long {
				text = nil
			}
			if long || len(bytes.TrimSpace(text)) > 0 {
				next := line{number: n, text: text}
				if long {
					next.err = errLongLine
				}
				l.read.Add(1)
				if l.room.Acquire(ctx, int64(len(text)+lineCost)) != nil || !l.give(ctx, next) {
					return
				}
			}
			switch {
			case err == nil || long:
			case errors.Is(err, io.EOF):
				return
			default:
				l.give(ctx, line{err: err})
				return
			}
		}
	}()
	return l
}

func (l *lineReader) give(ctx context.Context, next line) bool {
	select {
	case l.lines <- next:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// taken makes room for more.
func (l *lineReader) taken(got line) {
	if got.err == nil || errors.Is(got.err, errLongLine) {
		l.room.Release(int64(len(got.text) + lineCost))
	}
}

// rest counts what is left to be read, until nothing comes for a moment or the patience
// ends, and reports whether that was all.
func (l *lineReader) rest(quiet, patience time.Duration) (all bool) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	still := time.NewTimer(quiet)
	defer still.Stop()
	for {
		select {
		case got, ok := <-l.lines:
			if !ok {
				return true
			}
			l.taken(got)
			still.Reset(quiet)
		case <-still.C:
			return false
		case <-deadline.C:
			return false
		}
	}
}

// readLine reads a line of any length, and gives up what is beyond maxSendLine.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxSendLine {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.ReadSlice('\n')
			}
			if err != nil {
				return nil, err
			}
			return nil, errLongLine
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
