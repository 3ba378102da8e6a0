package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"
)

// batch is the lines of one request and where they came from.
type batch struct {
	body  []byte
	lines []int // number in the file of each line of body
	ends  []int // where each of them ends in it, behind its line feed
}

func (b *batch) add(number int, text []byte) {
	b.body = append(append(b.body, text...), '\n')
	b.lines, b.ends = append(b.lines, number), append(b.ends, len(b.body))
}

// halves splits a batch of two lines or more.
func (b *batch) halves() (first, second *batch) {
	n := len(b.lines) / 2
	at := b.ends[n-1]
	first = &batch{b.body[:at], b.lines[:n], b.ends[:n]}
	second = &batch{body: b.body[at:], lines: b.lines[n:]}
	for _, end := range b.ends[n:] {
		second.ends = append(second.ends, end-at)
	}
	return first, second
}

// batchBytes is the size of a request at most, but for a line that is longer.
const batchBytes = 1_000_000

// sender posts batches and keeps the accounts.
type sender struct {
	url     string
	retries int
	zstd    *zstd.Encoder // nil: bodies are sent as they are
	client  *http.Client
	report  func(format string, args ...any)
	in      *lineReader
	most    int // bytes of a request: what the node has taken so far, or batchBytes

	accepted, duplicates, rejected, adjusted, unlisted int
	sent                                               int // lines answered

	awaySince, said time.Time // the node has been away since, and that was last said; or zero
}

const (
	sayAway     = 10 * time.Second       // how often it is said that the node is away
	endPatience = 5 * time.Second        // for what is read when the program is to end, or gives up
	stillTime   = 300 * time.Millisecond // a pipe in which nothing comes is empty
)

func newSender(url string, retries int, client *http.Client, report func(string, ...any)) *sender {
	return &sender{url: url, retries: retries, client: client, report: report, most: batchBytes}
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

// sendAll reads lines and posts them in batches; what came from a pipe does not wait
// longer than flush. When it is interrupted, what has been read is still sent. An error
// says how many lines were not.
func (s *sender) sendAll(ctx context.Context, in io.Reader, lines int, flush time.Duration) error {
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	s.in = readLines(reading, in)
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(endPatience, cancel) })()

	err := s.postAll(ctx, sending, lines, flush)
	more := ""
	if err != nil && !s.in.rest(stillTime, endPatience) {
		more = ", nor what is still to come"
	}
	read := int(s.in.read.Load())
	if read > s.sent {
		return fmt.Errorf("%d of the %d lines read were not sent%s: %w", read-s.sent, read, more, cmp.Or(err, context.Cause(ctx)))
	}
	return err
}

// postAll posts what is read until the input ends or, with what has been read by then,
// ctx does.
func (s *sender) postAll(ctx, sending context.Context, lines int, flush time.Duration) error {
	b := &batch{}
	post := func() error {
		if len(b.lines) == 0 {
			return nil
		}
		full := b
		b = &batch{}
		return s.post(sending, full)
	}
	add := func(l line) error {
		s.in.taken(l)
		switch {
		case errors.Is(l.err, errLongLine):
			s.refuse(l.number, "too_long", fmt.Sprintf("longer than %d bytes", maxSendLine))
			return nil
		case l.err != nil:
			return errors.Join(l.err, post())
		}
		if len(b.body)+len(l.text)+1 > s.most {
			if err := post(); err != nil {
				return err
			}
		}
		b.add(l.number, l.text)
		if len(b.lines) >= lines {
			return post()
		}
		return nil
	}
	timer, quiet := time.NewTimer(flush), time.NewTimer(stillTime)
	defer timer.Stop()
	defer quiet.Stop()
	interrupted := ctx.Done()
	var still <-chan time.Time // once interrupted: nothing more comes
	var over <-chan struct{}   // and: nothing more may be sent
	for {
		select {
		case l, ok := <-s.in.lines:
			if !ok {
				return post()
			}
			if err := add(l); err != nil {
				return err
			}
			if still != nil {
				quiet.Reset(stillTime)
			}
		case <-timer.C:
			if err := post(); err != nil {
				return err
			}
			timer.Reset(flush)
		case <-interrupted:
			// Who wrote to the pipe was mostly interrupted too: what is in it is the last.
			timer.Stop()
			quiet.Reset(stillTime)
			interrupted, still, over = nil, quiet.C, sending.Done()
		case <-still:
			return post()
		case <-over:
			return sending.Err()
		}
	}
}

// refuse books a line that no node will take.
func (s *sender) refuse(number int, code, detail string) {
	s.sent++
	s.rejected++
	s.report("line %d: %s: %s\n", number, code, detail)
}

// errTooLarge is the answer of a node that takes smaller bodies.
var errTooLarge = errors.New("the body is too large")

// post sends a batch until it is answered, for as long as trying again may help. One
// that is too large is sent in halves.
func (s *sender) post(ctx context.Context, b *batch) error {
	body := b.body
	if s.zstd != nil {
		body = s.zstd.EncodeAll(body, nil)
	}
	for try := 0; ; try++ {
		again, wait, err := s.try(ctx, b, body)
		switch {
		case err == nil:
			s.back()
			return nil
		case errors.Is(err, errTooLarge) && len(b.lines) == 1:
			s.back()
			s.refuse(b.lines[0], "body_too_large", err.Error())
			return nil
		case errors.Is(err, errTooLarge):
			s.back()
			s.most = min(s.most, max(len(b.body)/2, 1))
			first, second := b.halves()
			if err := s.post(ctx, first); err != nil {
				return err
			}
			return s.post(ctx, second)
		case !again || try >= s.retries || ctx.Err() != nil:
			return err
		}
		// Growing pauses, each of random length, so that many senders do not come
		// back at once.
		backoff := time.Duration(float64(100*time.Millisecond<<min(try, 7)) * (0.5 + rand.Float64()))
		if s.pause(ctx, max(wait, backoff), err) != nil {
			return err
		}
	}
}

// pause waits before another try, and says at once and from time to time that the node
// is away, and how much waits for it.
func (s *sender) pause(ctx context.Context, d time.Duration, reason error) error {
	if s.awaySince.IsZero() {
		s.awaySince = time.Now()
	}
	end := time.Now().Add(d)
	for {
		if now := time.Now(); now.Sub(s.said) >= sayAway {
			s.said = now
			s.report("remuda: not sent: %v; %d lines wait, trying again\n", reason, int(s.in.read.Load())-s.sent)
		}
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(min(left, time.Until(s.said.Add(sayAway))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// back ends the time in which the node was away.
func (s *sender) back() {
	if !s.awaySince.IsZero() {
		s.report("remuda: the node answers again after %v\n", time.Since(s.awaySince).Round(100*time.Millisecond))
		s.awaySince, s.said = time.Time{}, time.Time{}
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
	problem := fmt.Errorf("%s: %s", resp.Status, r.Detail)
	if r.Detail == "" {
		problem = errors.New(resp.Status) // of a proxy
	}
	switch {
	case resp.StatusCode == http.StatusAccepted && parsed, resp.StatusCode == http.StatusUnprocessableEntity && parsed && r.Rejected > 0:
		s.note(b, &r)
		return false, 0, nil
	case resp.StatusCode == http.StatusRequestEntityTooLarge:
		return false, 0, fmt.Errorf("%w for the node: %w", errTooLarge, problem)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout || resp.StatusCode >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return true, time.Duration(min(max(seconds, 0), 60)) * time.Second, problem
	}
	return false, 0, problem
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
