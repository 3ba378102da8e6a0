package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"remuda/store"
)

// problem is an RFC 9457 problem document, and the error that becomes one.
type problem struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail"`
	Instance string         `json:"instance,omitempty"`
	Code     string         `json:"code"`
	Errors   []problemError `json:"errors,omitempty"`

	// Of refused events.
	Accepted   *int `json:"accepted,omitempty"`
	Duplicates *int `json:"duplicates,omitempty"`
	Rejected   *int `json:"rejected,omitempty"`
	Adjusted   *int `json:"adjusted,omitempty"`

	retryAfter time.Duration
	allow      string
}

// problemError is one of several faults: a parameter, or an event.
type problemError struct {
	Parameter string `json:"parameter,omitempty"`
	Line      int    `json:"line,omitempty"`
	Index     *int   `json:"index,omitempty"`
	Field     string `json:"field,omitempty"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
}

func (p *problem) Error() string { return p.Detail }

// statusOf is the one mapping of codes to statuses.
var statusOf = map[string]int{
	"unknown_parameter":       http.StatusBadRequest,
	"invalid_parameter":       http.StatusBadRequest,
	"missing_parameter":       http.StatusBadRequest,
	"malformed_body":          http.StatusBadRequest,
	"damaged_compression":     http.StatusBadRequest,
	"canceled":                http.StatusBadRequest,
	"not_found":               http.StatusNotFound,
	"method_not_allowed":      http.StatusMethodNotAllowed,
	"not_acceptable":          http.StatusNotAcceptable,
	"read_timeout":            http.StatusRequestTimeout,
	"body_too_large":          http.StatusRequestEntityTooLarge,
	"inflated_too_large":      http.StatusRequestEntityTooLarge,
	"uri_too_long":            http.StatusRequestURITooLong,
	"unsupported_media_type":  http.StatusUnsupportedMediaType,
	"unsupported_encoding":    http.StatusUnsupportedMediaType,
	"misdirected":             http.StatusMisdirectedRequest,
	"cross_origin":            http.StatusForbidden,
	"no_acceptable_event":     http.StatusUnprocessableEntity,
	"strict_batch_refused":    http.StatusUnprocessableEntity,
	"overloaded":              http.StatusServiceUnavailable,
	"too_many_subscribers":    http.StatusServiceUnavailable,
	"too_many_views":          http.StatusServiceUnavailable,
	"shutting_down":           http.StatusServiceUnavailable,
	"not_ready":               http.StatusServiceUnavailable,
	"streaming_not_supported": http.StatusNotImplemented,
	"internal":                http.StatusInternalServerError,
}

func newProblem(code, detail string) *problem {
	status, ok := statusOf[code]
	if !ok {
		status = http.StatusInternalServerError
	}
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// parameterProblem is a fault of the query string.
func parameterProblem(code, parameter, detail string) *problem {
	p := newProblem(code, detail)
	p.Errors = []problemError{{Parameter: parameter, Code: code, Detail: detail}}
	return p
}

// coded is what errors of other packages carry.
type coded interface {
	error
	Code() string
}

// problemOf maps any error to the problem that is answered.
func problemOf(err error) *problem {
	var own *problem
	if errors.As(err, &own) {
		return own
	}
	var named coded
	if errors.As(err, &named) {
		p := newProblem(named.Code(), named.Error())
		var later interface{ RetryAfter() time.Duration }
		if errors.As(err, &later) {
			p.retryAfter = later.RetryAfter()
		}
		return p
	}
	return newProblem("internal", "something went wrong; the log of the node says what")
}

// refusedProblem is the answer to events of which none was counted.
func refusedProblem(code, detail string, r *store.Receipt) *problem {
	p := newProblem(code, detail)
	p.Accepted, p.Duplicates, p.Rejected, p.Adjusted = &r.Accepted, &r.Duplicates, &r.Rejected, &r.Adjusted
	for i := range r.Refusals {
		f := &r.Refusals[i]
		p.Errors = append(p.Errors, problemError{Line: f.Line, Index: &f.Index, Field: f.Field, Code: f.Code, Detail: f.Detail})
	}
	return p
}

// fail answers with a problem; clients that asked for a table get one plain line.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := *problemOf(err)
	p.Instance = r.URL.Path
	h := w.Header()
	if p.Status >= 500 && p.Code == "internal" {
		a.log.Error("request failed", "path", r.URL.Path, "error", err)
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(p.retryAfter.Round(time.Second)/time.Second))))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	if wantsTable(r) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(p.Status)
		_, _ = w.Write([]byte(strconv.Itoa(p.Status) + " " + p.Code + ": " + p.Detail + "\n"))
		return
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	body, err := json.Marshal(&p)
	if err != nil {
		return // a problem always marshals
	}
	_, _ = w.Write(append(body, '\n'))
}
