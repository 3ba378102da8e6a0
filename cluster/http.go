package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"remuda/store"
)

// Members ask each other over HTTP: for marks, for the state of an origin, and for
// a decision by its request_id.
const (
	marksPath     = "/internal/v1/marks"
	statePath     = "/internal/v1/state"
	decisionsPath = "/internal/v1/decisions"

	dialTimeout     = 2 * time.Second
	headerTimeout   = 3 * time.Second // until an answer begins
	exchangeTimeout = 3 * time.Second
	pullTimeout     = 30 * time.Second
	findTimeout     = time.Second
	bodyTimeout     = 3 * time.Second // for a list of marks to come
	turnTimeout     = time.Second     // for one of the answers that are being sent to end

	maxMarks   = 1 << 20 // bytes of a list of marks
	maxAddress = 64      // bytes of one
	maxAnswers = 8       // states being sent at a time
)

// newClient asks members. One that takes packets and answers none must not hold one
// of the few pulls for long.
func newClient() *http.Client {
	dialer := net.Dialer{Timeout: dialTimeout}
	return &http.Client{Transport: &http.Transport{
		DialContext: dialer.DialContext, ResponseHeaderTimeout: headerTimeout,
		MaxIdleConnsPerHost: 4, MaxConnsPerHost: 8, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
	}}
}

// Handler answers what members ask.
func (c *Cluster) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+marksPath, c.guard(c.answerMarks))
	mux.HandleFunc("GET "+statePath, c.guard(c.answerState))
	mux.HandleFunc("GET "+decisionsPath, c.guard(c.answerDecisions))
	return mux
}

// guard admits members only.
func (c *Cluster) guard(answer func(r *http.Request, body []byte, out *frameWriter) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seal, err := c.secrets.check(r, c.options.Cluster)
		if err != nil {
			c.refuse(w, err)
			return
		}
		deadline := http.NewResponseController(w)
		_ = deadline.SetReadDeadline(time.Now().Add(bodyTimeout)) // a server that has none still bounds the size
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMarks))
		_ = deadline.SetReadDeadline(time.Time{})
		if err != nil {
			http.Error(w, "read the body: "+err.Error(), http.StatusBadRequest)
			return
		}
		if err := seal.checkBody(body); err != nil {
			c.refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		counted := &countingWriter{w: w}
		out := &frameWriter{w: bufio.NewWriterSize(counted, 32<<10), seal: seal}
		if err := answer(r, body, out); err != nil {
			if counted.n == 0 && out.w.Buffered() == 0 {
				status := http.StatusServiceUnavailable
				if errors.Is(err, errDamaged) {
					status = http.StatusBadRequest
				}
				http.Error(w, err.Error(), status)
			}
			return // a cut answer has no end
		}
		_ = out.w.Flush()
		c.countOut(r.Header.Get(memberHeader), counted.n)
	}
}

func (c *Cluster) refuse(w http.ResponseWriter, err error) {
	c.refused.Add(1)
	http.Error(w, err.Error(), http.StatusForbidden)
}

// memberHeader names who asks, for the figures only.
const memberHeader = "Remuda-Member"

type countingWriter struct {
	w io.Writer
	n int
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += n
	return n, err
}

func (c *Cluster) countOut(member string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.protocol == nil {
		return
	}
	if known := c.protocol.nodes[member]; known != nil {
		known.bytesOut += uint64(n)
	}
}

var errStarting = errors.New("starting")

// answerMarks compares what a member has with what is here, and tells it.
func (c *Cluster) answerMarks(r *http.Request, body []byte, out *frameWriter) error {
	in := reader{rest: body}
	member, theirs := in.marks()
	at := r.URL.Query().Get("at")
	if !in.end() || len(at) > maxAddress {
		return errDamaged
	}
	c.mu.Lock()
	if c.protocol == nil {
		c.mu.Unlock()
		return errStarting
	}
	if c.protocol.nodes[member] != nil {
		c.protocol.compare(c.since(), member, theirs, false)
		c.protocol.toldAddress(theirs, member, at)
	}
	mine := appendMarks(nil, c.options.Node, c.protocol.marks())
	c.mu.Unlock()
	c.mail.wake()
	return out.write(mine)
}

// answerState sends what changed of an origin after a sequence.
func (c *Cluster) answerState(r *http.Request, _ []byte, out *frameWriter) error {
	q := r.URL.Query()
	incarnation, err1 := strconv.ParseUint(q.Get("incarnation"), 10, 53)
	after, err2 := strconv.ParseUint(q.Get("after"), 10, 32)
	if err1 != nil || err2 != nil {
		return errDamaged
	}
	turn, cancel := context.WithTimeout(r.Context(), turnTimeout)
	defer cancel()
	select {
	case c.answers <- struct{}{}:
		defer func() { <-c.answers }()
	case <-turn.Done():
		return errors.New("too many states are being sent")
	}
	id := store.OriginID{Node: q.Get("origin"), Incarnation: incarnation}
	if _, ok := c.status(id); !ok {
		return errors.New("nothing is known of this origin")
	}
	w := stateWriter{store: c.store, emit: out.write}
	if id == c.protocol.self {
		w.numbers, w.builds = &c.publisher.numbers, q.Get("builds") == "1" && after > 0
	}
	return w.write(id, after, c.store.Now()+c.store.Skew(id).Milliseconds(), func() status {
		s, _ := c.status(id)
		return s
	})
}

func (c *Cluster) status(id store.OriginID) (s status, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.protocol == nil {
		return status{}, false
	}
	return c.protocol.has(id)
}

// answerDecisions sends this node's own decisions of a request.
func (c *Cluster) answerDecisions(r *http.Request, _ []byte, out *frameWriter) error {
	own, ok := c.status(store.OriginID{Node: c.options.Node, Incarnation: c.incarnation})
	if !ok {
		return errStarting
	}
	frame := appendStatus(nil, &own)
	for _, d := range c.store.OwnDecisions(r.URL.Query().Get("request_id")) {
		if len(frame) > frameSize {
			break // a request of thousands of decisions is told in part
		}
		frame = appendDecision(frame, &d)
	}
	return out.write(frame)
}

// addressOf returns where a member is asked, empty when that is not known.
func (c *Cluster) addressOf(member string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.protocol.nodes[member]; n != nil {
		return n.peer.httpAddr
	}
	return ""
}

// errNoAnswer says that a request did not come through, or nothing came back.
var errNoAnswer = errors.New("no answer")

// askAt sends a request to a member at its address, and hands the frames of the answer
// to take.
func (c *Cluster) askAt(ctx context.Context, address, member, method, path string, query url.Values, body []byte, take func(frame []byte) error) (read int, err error) {
	if address == "" {
		return 0, errNoMember
	}
	target := url.URL{Scheme: "http", Host: address, Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set(memberHeader, c.options.Node)
	nonce := c.secrets.sign(r, c.options.Cluster, body)
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		return 0, fmt.Errorf("%s answers %d: %s", member, answer.StatusCode, bytes.TrimSpace(text))
	}
	in := frameReader{r: bufio.NewReaderSize(answer.Body, 32<<10)}
	if nonce != nil {
		in.seal = &seal{keys: c.secrets, nonce: nonce}
	}
	for {
		frame, err := in.next()
		if errors.Is(err, io.EOF) {
			return in.read, nil
		}
		if err == nil {
			err = take(frame)
		}
		if err != nil {
			return in.read, err
		}
	}
}

// exchange asks a member for its marks, and tells it this node's.
func (c *Cluster) exchange(ctx context.Context, member string) (theirs []status, read int, err error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	return c.exchangeAt(ctx, c.addressOf(member), member)
}

// exchangeAt exchanges marks with who answers at an address, if that is the member.
func (c *Cluster) exchangeAt(ctx context.Context, address, member string) (theirs []status, read int, err error) {
	c.mu.Lock()
	mine := appendMarks(nil, c.options.Node, c.protocol.marks())
	c.mu.Unlock()
	query := url.Values{"at": {c.address}}
	read, err = c.askAt(ctx, address, member, http.MethodPost, marksPath, query, mine, func(frame []byte) error {
		r := reader{rest: frame}
		var from string
		from, theirs = r.marks()
		if !r.end() || from != member {
			return errDamaged
		}
		return nil
	})
	if err == nil && theirs == nil {
		err = io.ErrUnexpectedEOF
	}
	return theirs, read, err
}

// pull gets the state of an origin and merges it.
func (c *Cluster) pull(ctx context.Context, t task) pullResult {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	in := stateReader{
		after: t.after,
		begin: func(s *status, wall int64) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.protocol.pulling(c.since(), t, s, wall)
		},
		merge: func(e *entries) bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.protocol.merged(t, e)
		},
	}
	query := url.Values{
		"origin": {t.id.Node}, "incarnation": {strconv.FormatUint(t.id.Incarnation, 10)}, "after": {strconv.FormatUint(t.after, 10)},
	}
	if t.builds {
		query.Set("builds", "1")
	}
	address := t.at
	if address == "" {
		address = c.addressOf(t.member)
	}
	read, err := c.askAt(ctx, address, t.member, http.MethodGet, statePath, query, nil, in.take)
	if err == nil && (!in.done || in.result.id != t.id) {
		err = io.ErrUnexpectedEOF
	}
	in.result.bytes, in.result.err = read, err
	return in.result
}
