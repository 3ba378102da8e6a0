// Package problem makes errors of the answers that refuse something: RFC 9457 documents,
// whose codes are mapped to statuses here and nowhere else.
package problem

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Problem is a problem document, and the error that becomes one.
type Problem struct {
	Type     string  `json:"type"`
	Title    string  `json:"title"`
	Status   int     `json:"status"`
	Detail   string  `json:"detail"`
	Instance string  `json:"instance,omitempty"`
	Code     string  `json:"code"`
	Errors   []Fault `json:"errors,omitempty"`

	// Of refused events.
	Accepted   *int `json:"accepted,omitempty"`
	Duplicates *int `json:"duplicates,omitempty"`
	Rejected   *int `json:"rejected,omitempty"`
	Adjusted   *int `json:"adjusted,omitempty"`

	RetryAfter time.Duration `json:"-"` // when the client may come again; 0: nobody knows
	Allow      string        `json:"-"` // the methods that the path takes
}

// Fault is one of several: a parameter, or an event.
type Fault struct {
	Parameter string `json:"parameter,omitempty"`
	Line      int    `json:"line,omitempty"`
	Index     *int   `json:"index,omitempty"`
	Field     string `json:"field,omitempty"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
}

func (p *Problem) Error() string { return p.Detail }

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

// New returns the problem of a code. Detail is for people.
func New(code, detail string) *Problem {
	status, ok := statusOf[code]
	if !ok {
		status = http.StatusInternalServerError
	}
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// OfParameter is a fault of the query string.
func OfParameter(code, parameter, detail string) *Problem {
	p := New(code, detail)
	p.Errors = []Fault{{Parameter: parameter, Code: code, Detail: detail}}
	return p
}

// ToRetry is a problem that may be gone after a while.
func ToRetry(code, detail string, after time.Duration) *Problem {
	p := New(code, detail)
	p.RetryAfter = after
	return p
}

// coded is what errors of other packages carry.
type coded interface {
	error
	Code() string
}

// Code is the code of an error that another package made, "" when it has none.
func Code(err error) string {
	var named coded
	if errors.As(err, &named) {
		return named.Code()
	}
	return ""
}

// Of maps any error to the problem that is answered.
func Of(err error) *Problem {
	var own *Problem
	if errors.As(err, &own) {
		return own
	}
	var named coded
	if errors.As(err, &named) {
		p := New(named.Code(), named.Error())
		var later interface{ RetryAfter() time.Duration }
		if errors.As(err, &later) {
			p.RetryAfter = later.RetryAfter()
		}
		return p
	}
	return New("internal", "something went wrong; the log of the node says what")
}

// Write answers with a problem, as one plain line for those who want that.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request, line bool) {
	answer := *p
	answer.Instance = r.URL.Path
	h := w.Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(p.RetryAfter.Round(time.Second)/time.Second))))
	}
	if p.Allow != "" {
		h.Set("Allow", p.Allow)
	}
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	if line {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(p.Status)
		_, _ = w.Write([]byte(strconv.Itoa(p.Status) + " " + p.Code + ": " + p.Detail + "\n"))
		return
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	body, err := json.Marshal(&answer)
	if err != nil {
		return // a problem always marshals
	}
	_, _ = w.Write(append(body, '\n'))
}
