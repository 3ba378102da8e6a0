package httpapi

import (
	"context"
	"io"
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

// postEvents takes in events.
func (a *API) postEvents(w http.ResponseWriter, r *http.Request) {
	strict := false
	for name, values := range r.URL.Query() {
		if name != "strict" && name != "format" {
			a.fail(w, r, problem.OfParameter("unknown_parameter", name, "there is no parameter "+strconv.Quote(ask.Clip(name))+" here"+ask.Suggestion(name, []string{"strict"})))
			return
		}
		if name == "strict" {
			on, err := strconv.ParseBool(values[0])
			if err != nil {
				a.fail(w, r, problem.OfParameter("invalid_parameter", name, "strict must be 0 or 1"))
				return
			}
			strict = on
		}
	}
	if !strict && a.takePost(w, r) {
		return
	}
	from := http.NewResponseController(w)
	// Not every ResponseWriter has deadlines (recorders in tests have not); the
	// server's own timeouts remain.
	_ = from.SetReadDeadline(time.Now().Add(a.options.BodyTimeout))
	a.posts.begin(from)
	defer a.posts.end(from)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(a.posts.context, cancel)()
	r = r.WithContext(ctx)
	r.Body = serverBody{r.Body, from}
	receipt, err := a.ingestPost(r, strict)
	if err != nil {
		if problem.Code(err) == "overloaded" {
			// A sender that is still writing when its connection is closed does not read
			// when it is to come again.
			_, _ = io.Copy(io.Discard, r.Body) // as far as it comes
		}
		a.fail(w, r, err)
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
func (a *API) ingestPost(r *http.Request, strict bool) (store.Receipt, error) {
	if a.draining.Load() {
		return store.Receipt{}, shuttingDown()
	}
	r.Body = postBody{r.Body.(sentBody), a.posts}
	began := time.Now()
	receipt, err := a.ingester.Ingest(r, strict)
	a.ingest.note(&receipt, err, time.Since(began))
	a.refused.note(a.log, a.store, &receipt, err)
	switch {
	case err != nil && a.posts.context.Err() != nil:
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
