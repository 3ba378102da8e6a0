package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

type sendCommand struct {
	File    string        `arg:"" optional:"" default:"-" help:"File of events, one JSON object a line; - is standard input."`
	URL     string        `env:"REMUDA_URL" default:"http://127.0.0.1:7400" help:"URL of the node."`
	Batch   int           `default:"1000" help:"Most lines in one request."`
	Flush   time.Duration `default:"1s" help:"How long a line from a pipe waits for others at most."`
	Retries int           `default:"8" help:"How often a request is tried again, with growing pauses."`
	Zstd    bool          `help:"Compress requests."`
}

// Help is the long help of the command.
func (sendCommand) Help() string {
	return `Example: tail -F gateway.ndjson | remuda send -

Status 1 when any line was refused or could not be sent. A request whose answer
was lost is sent again: events that carry an event_id or a request_id are counted
once all the same, others may be counted twice.`
}

// batch is the lines of one request and where they came from.
type batch struct {
	body  bytes.Buffer
	lines []int // number in the file of each line of body
}

const (
	batchBytes  = 1 << 20
	maxSendLine = 8 << 20 // a longer line is not read; the node would refuse it anyway
)

// sender posts batches and keeps the accounts.
type sender struct {
	url     string
	retries int
	zstd    *zstd.Encoder
	client  *http.Client
	report  func(format string, args ...any) // names a refused line
	pause   func(ctx context.Context, d time.Duration) error

	accepted, duplicates, rejected, adjusted, unlisted int
	sent                                               int // lines answered
}

// receipt is the node's answer, a problem's included.
type receipt struct {
	Accepted, Duplicates, Rejected, Adjusted int
	Detail                                   string
	Errors                                   []struct {
		Line   int
		Field  *string
		Code   string
		Detail string
	}
}

// Run sends the file.
func (c *sendCommand) Run(ctx context.Context) error {
	base, err := checkURL(c.URL)
	if err != nil {
		return err
	}
	if c.Batch < 1 || c.Batch > 100_000 || c.Flush <= 0 {
		return usagef("--batch must be from 1 to 100000, and --flush above 0")
	}
	in, size := io.Reader(os.Stdin), int64(-1)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		switch info, err := f.Stat(); {
		case err == nil && info.IsDir():
			return fmt.Errorf("%s is a directory", c.File)
		case err == nil && info.Mode().IsRegular():
			size = info.Size()
		}
		in = f
	}
	s := &sender{
		url: base + "/api/v1/events", retries: c.Retries, report: complain,
		client: defaultClient(), pause: pause,
	}
	if c.Zstd {
		if s.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
			return err
		}
	}
	if term.IsTerminal(int(os.Stderr.Fd())) && size > 0 {
		bar := progressbar.DefaultBytes(size, "sending")
		r := progressbar.NewReader(in, bar)
		in = &r
	}
	began := time.Now()
	read, err := s.sendAll(ctx, in, c.Batch, c.Flush)
	took := time.Since(began)
	fmt.Fprintf(os.Stderr, "%d lines in %v: %d accepted, %d duplicates, %d rejected, %d adjusted (%.0f lines/s)\n",
		s.sent, took.Round(time.Millisecond), s.accepted, s.duplicates, s.rejected, s.adjusted, float64(s.sent)/took.Seconds())
	if s.unlisted > 0 {
		fmt.Fprintf(os.Stderr, "%d of the rejected lines are not listed: a node names 20 a request; --batch 20 names all\n", s.unlisted)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%d of the %d lines read were not sent: %w", read-s.sent, read, err)
	case s.rejected > 0:
		return errReported
	}
	return nil
}

// complain writes to standard error; there is nobody to tell if that fails.
func complain(format string, args ...any) { _, _ = fmt.Fprintf(os.Stderr, format, args...) }

func defaultClient() *http.Client { return &http.Client{Timeout: 60 * time.Second} }

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sendAll reads lines and posts them in batches; what came from a pipe does not
// wait longer than flush. It returns how many lines it read.
func (s *sender) sendAll(ctx context.Context, in io.Reader, most int, flush time.Duration) (read int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type line struct {
		number int
		text   []byte
		err    error
	}
	lines := make(chan line, 4096)
	go func() { // ends with the input, or with the command when a read never returns
		defer close(lines)
		r := bufio.NewReaderSize(in, 256<<10)
		for n := 1; ; n++ {
			text, err := readLine(r)
			if len(text) > 0 || err == nil || errors.Is(err, errLongLine) {
				select {
				case lines <- line{n, text, err}:
				case <-ctx.Done():
					return
				}
			}
			if err != nil && !errors.Is(err, errLongLine) {
				if !errors.Is(err, io.EOF) {
					select {
					case lines <- line{n, nil, err}:
					case <-ctx.Done():
					}
				}
				return
			}
		}
	}()

	b := &batch{}
	post := func() error {
		if len(b.lines) == 0 {
			return nil
		}
		err := s.post(ctx, b)
		b = &batch{}
		return err
	}
	timer := time.NewTimer(flush)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			// What has been read is sent: an interrupted tail loses nothing.
			grace, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer done()
			if err := s.postIn(grace, b); err != nil {
				return read, err
			}
			return read, nil
		case <-timer.C:
			if err := post(); err != nil {
				return read, err
			}
			timer.Reset(flush)
		case l, ok := <-lines:
			if !ok {
				return read, post()
			}
			switch {
			case errors.Is(l.err, errLongLine):
				read++
				s.sent++
				s.rejected++
				s.report("line %d: too_long: longer than %d bytes\n", l.number, maxSendLine)
				continue
			case l.err != nil:
				return read, l.err
			case len(bytes.TrimSpace(l.text)) == 0:
				continue
			}
			read++
			b.lines = append(b.lines, l.number)
			b.body.Write(bytes.TrimRight(l.text, "\r\n"))
			b.body.WriteByte('\n')
			if len(b.lines) >= most || b.body.Len() >= batchBytes {
				if err := post(); err != nil {
					return read, err
				}
			}
		}
	}
}

var errLongLine = errors.New("line too long")

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

func (s *sender) postIn(ctx context.Context, b *batch) error {
	if len(b.lines) == 0 {
		return nil
	}
	return s.post(ctx, b)
}

// post sends a batch until it is answered, for as long as trying again may help.
func (s *sender) post(ctx context.Context, b *batch) error {
	body := b.body.Bytes()
	if s.zstd != nil {
		body = s.zstd.EncodeAll(body, nil)
	}
	for try := 0; ; try++ {
		again, wait, err := s.try(ctx, b, body)
		if err == nil {
			return nil
		}
		if !again || try >= s.retries || ctx.Err() != nil {
			return err
		}
		// Growing pauses, each of random length, so that many senders do not come
		// back at once.
		backoff := time.Duration(float64(100*time.Millisecond<<min(try, 7)) * (0.5 + rand.Float64()))
		if err := s.pause(ctx, max(wait, backoff)); err != nil {
			return err
		}
	}
}

func (s *sender) try(ctx context.Context, b *batch, body []byte) (again bool, wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return false, 0, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	if s.zstd != nil {
		req.Header.Set("Content-Encoding", "zstd")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return true, 0, err
	}
	defer func() { _ = resp.Body.Close() }() // the answer has been read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return true, 0, err
	}
	var r receipt
	parsed := json.Unmarshal(answer, &r) == nil
	switch {
	case resp.StatusCode == http.StatusAccepted && parsed, resp.StatusCode == http.StatusUnprocessableEntity && parsed && r.Rejected > 0:
		s.note(b, &r)
		return false, 0, nil
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return true, time.Duration(min(max(seconds, 0), 60)) * time.Second, fmt.Errorf("%s: %s", resp.Status, r.Detail)
	}
	return false, 0, fmt.Errorf("%s: %s", resp.Status, r.Detail)
}

// note books an answer and names the refused lines as they are in the file.
func (s *sender) note(b *batch, r *receipt) {
	s.sent += len(b.lines)
	s.accepted += r.Accepted
	s.duplicates += r.Duplicates
	s.rejected += r.Rejected
	s.adjusted += r.Adjusted
	s.unlisted += max(r.Rejected-len(r.Errors), 0)
	for _, e := range r.Errors {
		number := 0
		if e.Line >= 1 && e.Line <= len(b.lines) {
			number = b.lines[e.Line-1]
		}
		field := ""
		if e.Field != nil && *e.Field != "" {
			field = *e.Field + ": "
		}
		s.report("line %d: %s%s: %s\n", number, field, e.Code, e.Detail)
	}
}
