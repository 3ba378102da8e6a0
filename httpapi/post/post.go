// Package post takes in bodies of events. It owns the connections that post, from when
// they are accepted until they end or the HTTP server gets them, and knows which posts are
// under way when a node ends.
package post

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"remuda/httpapi/ask"
	"remuda/httpapi/problem"
	"remuda/httpapi/value"
	"remuda/store"
)

// An Ingester takes in the bodies of events.
type Ingester interface {
	// Ingest reads the body of a request, which is a [sentBody], and counts its events. Errors carry a code
	// (Code() string) that is one of those in package problem, and mean that nothing was
	// counted. A strict body is counted whole or not at all.
	Ingest(r *http.Request, strict bool) (store.Receipt, error)
	// InFlight is how many bytes bodies hold, and how many they may.
	InFlight() (now, limit int64)
	// Waiting is how many bodies wait for their turn, and how long one does at most.
	Waiting() (now int, most time.Duration)
	// Limits are the bounds of a body: bytes as sent, bytes once decompressed,
	// bytes of one event.
	Limits() (body, inflated int64, line int)
}

// Options configure Posts. All are required.
type Options struct {
	Ingester    Ingester
	Now         func() int64 // ms since the epoch
	Logger      *slog.Logger
	Allow       func(host string) bool // whether requests may name it
	BodyTimeout time.Duration
	Fail        func(w http.ResponseWriter, r *http.Request, err error) // answers with an error
}

// Posts are a handler of posts, and a listener for those that come over connections of
// their own. They are safe for concurrent use.
type Posts struct {
	options  Options
	underway *underway
	front    *front                   // nil: connections stay with the server
	heads    atomic.Pointer[postHead] // of the last post that had another
	refusals refusals
	ingest   ingestStats
	refused  refusedLog
	draining atomic.Bool
}

// New returns Posts. Close ends them.
func New(o Options) *Posts { return &Posts{options: o, underway: newUnderway()} }

// Drain has posts refused from now on.
func (p *Posts) Drain() { p.draining.Store(true) }

// Finish waits for the posts that are under way, cuts off those whose bodies
// take too long, and reports whether all had ended when the context did.
func (p *Posts) Finish(ctx context.Context) bool { return p.underway.finish(ctx) }

// Close ends the connections that post.
func (p *Posts) Close() {
	p.underway.close()
	if p.front != nil {
		_ = p.front.Close() // the server may have
		p.front.running.Wait()
	}
}

// Figures are what came of bodies since the start.
type Figures struct {
	Requests uint64            // bodies
	Took     time.Duration     // in Ingest, reading included
	Bytes    uint64            // as they came
	Rejected map[string]uint64 // events by code
	Failed   map[string]uint64 // bodies by code
}

// Figures returns the figures as of now.
func (p *Posts) Figures() Figures {
	f := Figures{Requests: p.ingest.requests.Load(), Took: time.Duration(p.ingest.nanos.Load()), Bytes: p.underway.received()}
	p.ingest.mu.Lock()
	defer p.ingest.mu.Unlock()
	f.Rejected, f.Failed = maps.Clone(p.ingest.rejected), maps.Clone(p.ingest.failed)
	return f
}

// ingestStats is what the node's own exposition says about bodies of events.
type ingestStats struct {
	requests atomic.Uint64
	nanos    atomic.Uint64 // time in Ingest

	mu       sync.Mutex
	rejected map[string]uint64 // events by code
	failed   map[string]uint64 // bodies by code
}

func (s *ingestStats) note(r *store.Receipt, err error, took time.Duration) {
	s.requests.Add(1)
	s.nanos.Add(uint64(took))
	if err == nil && r.Rejected == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rejected == nil {
		s.rejected, s.failed = make(map[string]uint64), make(map[string]uint64)
	}
	if code := problem.Code(err); code != "" {
		s.failed[code]++
		return
	}
	for _, f := range r.Refusals {
		s.rejected[f.Code]++
	}
	s.rejected["other"] += uint64(r.Rejected - len(r.Refusals)) // beyond those that are listed
}

// ServeHTTP takes in the events of a post.
func (p *Posts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	strict := false
	for name, values := range r.URL.Query() {
		if name != "strict" && name != "format" {
			p.options.Fail(w, r, problem.OfParameter("unknown_parameter", name, "there is no parameter "+strconv.Quote(ask.Clip(name))+" here"+ask.Suggestion(name, []string{"strict"})))
			return
		}
		if name == "strict" {
			on, err := strconv.ParseBool(values[0])
			if err != nil {
				p.options.Fail(w, r, problem.OfParameter("invalid_parameter", name, "strict must be 0 or 1"))
				return
			}
			strict = on
		}
	}
	if !strict && p.takePost(w, r) {
		return
	}
	from := http.NewResponseController(w)
	// Not every ResponseWriter has deadlines (recorders in tests have not); the
	// server's own timeouts remain.
	_ = from.SetReadDeadline(time.Now().Add(p.options.BodyTimeout))
	p.underway.begin(from)
	defer p.underway.end(from)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.underway.context, cancel)()
	r = r.WithContext(ctx)
	r.Body = serverBody{r.Body, from}
	receipt, err := p.ingestPost(r, strict)
	if err != nil {
		if problem.Code(err) == "overloaded" {
			// A sender that is still writing when its connection is closed does not read
			// when it is to come again.
			_, _ = io.Copy(io.Discard, r.Body) // as far as it comes
		}
		p.options.Fail(w, r, err)
		return
	}
	body := appendReceipt(make([]byte, 0, 128), &receipt)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(body) // an error here is the client's going away
}

// ingestPost counts the body of a post, which is a sentBody. An error says why the answer is not a 202.
func (p *Posts) ingestPost(r *http.Request, strict bool) (store.Receipt, error) {
	if p.draining.Load() {
		return store.Receipt{}, shuttingDown()
	}
	r.Body = postBody{r.Body.(sentBody), p.underway}
	began := time.Now()
	receipt, err := p.options.Ingester.Ingest(r, strict)
	p.ingest.note(&receipt, err, time.Since(began))
	p.refused.note(p.options.Logger, p.options.Now, &receipt, err)
	switch {
	case err != nil && p.underway.context.Err() != nil:
		return receipt, shuttingDown()
	case err != nil:
		return receipt, err
	case strict && receipt.Rejected > 0:
		return receipt, refusedProblem("strict_batch_refused", "the batch is strict and has events that are refused; nothing was counted", &receipt)
	case receipt.Rejected > 0 && receipt.Accepted+receipt.Duplicates == 0:
		return receipt, refusedProblem("no_acceptable_event", "every event was refused; nothing was counted", &receipt)
	}
	return receipt, nil
}

// refusedProblem is the answer to events of which none was counted.
func refusedProblem(code, detail string, r *store.Receipt) *problem.Problem {
	p := problem.New(code, detail)
	p.Accepted, p.Duplicates, p.Rejected, p.Adjusted = &r.Accepted, &r.Duplicates, &r.Rejected, &r.Adjusted
	for i := range r.Refusals {
		f := &r.Refusals[i]
		p.Errors = append(p.Errors, problem.Fault{Line: f.Line, Index: &f.Index, Field: f.Field, Code: f.Code, Detail: f.Detail})
	}
	return p
}

func shuttingDown() *problem.Problem {
	return problem.ToRetry("shutting_down", "this node is shutting down", time.Second)
}

func appendReceipt(dst []byte, r *store.Receipt) []byte {
	dst = strconv.AppendInt(append(dst, `{"accepted":`...), int64(r.Accepted), 10)
	dst = strconv.AppendInt(append(dst, `,"duplicates":`...), int64(r.Duplicates), 10)
	dst = strconv.AppendInt(append(dst, `,"rejected":`...), int64(r.Rejected), 10)
	dst = strconv.AppendInt(append(dst, `,"adjusted":`...), int64(r.Adjusted), 10)
	dst = append(dst, `,"errors":[`...)
	for i := range r.Refusals {
		f := &r.Refusals[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"line":`...), int64(f.Line), 10)
		dst = strconv.AppendInt(append(dst, `,"index":`...), int64(f.Index), 10)
		dst = append(dst, `,"field":`...)
		if f.Field == "" {
			dst = append(dst, "null"...)
		} else {
			dst = value.AppendString(dst, f.Field)
		}
		dst = value.AppendString(append(dst, `,"code":`...), f.Code)
		dst = value.AppendString(append(dst, `,"detail":`...), f.Detail)
		dst = append(dst, '}')
	}
	return append(dst, "]}\n"...)
}
