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

	maxMarks   = 1 << 20 // bytes of a list of marks
	maxAddress = 64      // bytes of one
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
		if from, ok := callOf(r); ok && seal != nil && (from.run != 0 && from.run != c.incarnation || !c.sessions.admit(from)) {
			c.repeated.Add(1)
			http.Error(w, errRepeated.Error(), http.StatusConflict)
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
		pieces := newPieceWriter(w)
		out := &frameWriter{w: bufio.NewWriterSize(pieces, pieceSize), seal: seal}
		if err := answer(r, body, out); err != nil {
			if pieces.n == 0 && out.w.Buffered() == 0 {
				status := http.StatusServiceUnavailable
				if errors.Is(err, errDamaged) {
					status = http.StatusBadRequest
				}
				http.Error(w, err.Error(), status)
			}
			return // a cut answer has no end
		}
		_ = out.w.Flush()
		pieces.end()
		c.countOut(r.Header.Get(memberHeader), pieces.n)
	}
}

func (c *Cluster) refuse(w http.ResponseWriter, err error) {
	c.refused.Add(1)
	http.Error(w, err.Error(), http.StatusForbidden)
}

// memberHeader names who asks, for the figures only.
const memberHeader = "Remuda-Member"

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
	who := c.asker(r)
	if err := c.turns.take(r.Context(), who); err != nil {
		return err
	}
	defer c.turns.giveBack(who)
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

// An addressee is who is asked.
type addressee struct {
	name    string
	address string // empty when it is not known
	run     uint64 // 0 when it is not known
}

// member returns how a member is asked.
func (c *Cluster) member(name string) addressee {
	c.mu.Lock()
	defer c.mu.Unlock()
	whom := addressee{name: name}
	if n := c.protocol.nodes[name]; n != nil {
		whom.address, whom.run = n.peer.httpAddr, n.peer.incarnation
	}
	return whom
}

// errNoAnswer says that a request did not come through, or nothing came back.
var errNoAnswer = errors.New("no answer")

// ask sends a request, and hands the frames of the answer to take.
func (c *Cluster) ask(ctx context.Context, whom addressee, method, path string, query url.Values, body []byte, take func(frame []byte) error) (read int, err error) {
	if whom.address == "" {
		return 0, errNoMember
	}
	if query == nil {
		query = make(url.Values)
	}
	query.Set(callParam, call{c.options.Node, c.session, c.asked.Add(1), whom.run}.String())
	target := url.URL{Scheme: "http", Host: whom.address, Path: path, RawQuery: query.Encode()}
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
		return 0, fmt.Errorf("%s answers %d: %s", whom.name, answer.StatusCode, bytes.TrimSpace(text))
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
	return c.exchangeAt(ctx, c.member(member))
}

// exchangeAt exchanges marks with who answers at an address, if it has the name.
func (c *Cluster) exchangeAt(ctx context.Context, whom addressee) (theirs []status, read int, err error) {
	c.mu.Lock()
	mine := appendMarks(nil, c.options.Node, c.protocol.marks())
	c.mu.Unlock()
	query := url.Values{"at": {c.address}}
	read, err = c.ask(ctx, whom, http.MethodPost, marksPath, query, mine, func(frame []byte) error {
		r := reader{rest: frame}
		var from string
		from, theirs = r.marks()
		if !r.end() || from != whom.name {
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
	whom := c.member(t.member)
	if t.at != "" {
		whom.address, whom.run = t.at, t.id.Incarnation
	}
	read, err := c.ask(ctx, whom, http.MethodGet, statePath, query, nil, in.take)
	if err == nil && (!in.done || in.result.id != t.id) {
		err = io.ErrUnexpectedEOF
	}
	in.result.bytes, in.result.err = read, err
	return in.result
}
