package post

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"time"

	"remuda/httpapi/ask"
	"remuda/httpapi/headers"
	"remuda/httpapi/problem"
)

// refusals writes the answers of posters to posts that are not counted. Those of a node
// that gets more than it can take are kept, since it writes many: they differ by no more
// than what is in a refusalKey.
type refusals struct{ kept sync.Map } // of refusalKey to what is behind the date

type refusalKey struct {
	detail     string
	retryAfter time.Duration // whole seconds, as the ingester has them, few
	table      bool
	closes     bool
}

// refusal appends the answer to a post that is refused, with whether its connection
// closes.
func (p *Posts) refusal(dst []byte, r *http.Request, err error, closes bool) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	if problem.Code(err) != "overloaded" {
		status, rest := p.refusalBody(r, err, closes)
		return append(appendDate(fmt.Appendf(dst, "%d %s", status, http.StatusText(status))), rest...)
	}
	key := refusalKey{problem.Of(err).Detail, problem.Of(err).RetryAfter, ask.WantsTable(r), closes}
	rest, ok := p.refusals.kept.Load(key)
	if !ok {
		_, made := p.refusalBody(r, err, closes)
		rest, _ = p.refusals.kept.LoadOrStore(key, made)
	}
	return append(appendDate(append(dst, "503 Service Unavailable"...)), rest.([]byte)...)
}

func appendDate(dst []byte) []byte {
	return append(time.Now().UTC().AppendFormat(append(dst, "\r\nDate: "...), http.TimeFormat), "\r\n"...)
}

// refusalBody is the status of the answer, and all of it that is behind the date.
func (p *Posts) refusalBody(r *http.Request, err error, closes bool) (status int, rest []byte) {
	answer := &wholeAnswer{header: make(http.Header)}
	p.options.Fail(answer, r, err)
	var text bytes.Buffer
	fmt.Fprintf(&text, "%sContent-Length: %d\r\n", headers.GuardLines, answer.body.Len())
	if closes {
		text.WriteString("Connection: close\r\n")
	}
	_ = answer.header.Write(&text) // to memory
	text.WriteString("\r\n")
	text.Write(answer.body.Bytes())
	return answer.status, text.Bytes()
}

// wholeAnswer keeps an answer in memory.
type wholeAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *wholeAnswer) Header() http.Header            { return w.header }
func (w *wholeAnswer) WriteHeader(status int)         { w.status = status }
func (w *wholeAnswer) Write(text []byte) (int, error) { return w.body.Write(text) }
