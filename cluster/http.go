package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"remuda/cluster/link"
	"remuda/cluster/rules"
	"remuda/cluster/wire"
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
	pullTimeout     = link.AnswerTimeout
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
func (c *Cluster) guard(answer func(r *http.Request, body []byte, out *wire.ChunkWriter) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seal, err := c.secrets.Check(r, c.options.Cluster)
		if err != nil {
			c.refuse(w, err)
			return
		}
		if from, ok := link.CallOf(r); ok && seal != nil && (from.Run != 0 && from.Run != c.incarnation || !c.sessions.Admit(from)) {
			c.repeated.Add(1)
			http.Error(w, link.ErrRepeated.Error(), http.StatusConflict)
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
		if err := seal.CheckBody(body); err != nil {
			c.refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		pieces := link.NewPieceWriter(w)
		buffer := bufio.NewWriterSize(pieces, 32<<10)
		if err := answer(r, body, wire.NewChunkWriter(buffer, seal.Box())); err != nil {
			if pieces.Size() == 0 && buffer.Buffered() == 0 {
				status := http.StatusServiceUnavailable
				if errors.Is(err, wire.ErrDamaged) {
					status = http.StatusBadRequest
				}
				http.Error(w, err.Error(), status)
			}
			return // a cut answer has no end
		}
		_ = buffer.Flush()
		pieces.End()
		if p, known := c.bulletin().byName[r.Header.Get(memberHeader)]; known {
			c.exchanged.add(p.Name, 0, pieces.Size())
		}
	}
}

func (c *Cluster) refuse(w http.ResponseWriter, err error) {
	c.refused.Add(1)
	http.Error(w, err.Error(), http.StatusForbidden)
}

// memberHeader names who asks, for the figures only.
const memberHeader = "Remuda-Member"

var errStarting = errors.New("starting")

// answerMarks compares what a member has with what is here, and tells it.
func (c *Cluster) answerMarks(r *http.Request, body []byte, out *wire.ChunkWriter) error {
	member, theirs, err := wire.ReadMarks(body)
	at := r.URL.Query().Get("at")
	if err != nil || len(at) > maxAddress {
		return wire.ErrDamaged
	}
	mine := c.marks()
	if mine == nil {
		return errStarting
	}
	c.mail.ask(rules.Asked{Member: member, Marks: theirs, Address: at})
	return out.Write(mine)
}

// answerState sends what changed of an origin after a sequence.
func (c *Cluster) answerState(r *http.Request, _ []byte, out *wire.ChunkWriter) error {
	q := r.URL.Query()
	incarnation, err1 := strconv.ParseUint(q.Get("incarnation"), 10, 53)
	after, err2 := strconv.ParseUint(q.Get("after"), 10, 32)
	if err1 != nil || err2 != nil {
		return wire.ErrDamaged
	}
	who := c.asker(r)
	if err := c.turns.Take(r.Context(), who); err != nil {
		return err
	}
	defer c.turns.GiveBack(who)
	id := store.OriginID{Node: q.Get("origin"), Incarnation: incarnation}
	if _, ok := c.Status(id); !ok {
		return errors.New("nothing is known of this origin")
	}
	w := wire.StateWriter{Source: c.store, Emit: out.Write}
	if id == c.publisher.id {
		w.Name, w.Builds = c.publisher.numbers.answerName, q.Get("builds") == "1" && after > 0
	}
	return w.Write(id, after, c.store.Now()+c.store.Skew(id).Milliseconds(), func() wire.Status {
		s, _ := c.Status(id)
		return s
	})
}

// asker says who asks. Without a secret anybody on this machine may say that it is a
// member, and there is no more than these.
func (c *Cluster) asker(r *http.Request) link.Asker {
	if from, ok := link.CallOf(r); ok {
		if _, known := c.bulletin().byName[from.From]; known {
			return link.Asker{Name: from.From, IsMember: true}
		}
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr) // it came over TCP
	return link.Asker{Name: host}
}

// answerDecisions sends this node's own decisions of a request.
func (c *Cluster) answerDecisions(r *http.Request, _ []byte, out *wire.ChunkWriter) error {
	own, ok := c.Status(store.OriginID{Node: c.options.Node, Incarnation: c.incarnation})
	if !ok {
		return errStarting
	}
	return out.Write(wire.AppendDecisions(nil, &own, c.store.OwnDecisions(r.URL.Query().Get("request_id"))))
}

// An addressee is who is asked.
type addressee struct {
	name    string
	address string // empty when it is not known
	run     uint64 // 0 when it is not known
}

// member returns how a member is asked.
func (c *Cluster) member(name string) addressee {
	p := c.bulletin().byName[name]
	return addressee{name, p.HTTPAddr, p.Incarnation}
}

// ask sends a request, and hands the chunks of the answer to take.
func (c *Cluster) ask(ctx context.Context, whom addressee, method, path string, query url.Values, body []byte, take func(chunk []byte) error) (read int, err error) {
	if whom.address == "" {
		return 0, rules.ErrNoMember
	}
	if query == nil {
		query = make(url.Values)
	}
	query.Set(link.CallParam, link.Call{From: c.options.Node, Session: c.session, Serial: c.asked.Add(1), Run: whom.run}.String())
	target := url.URL{Scheme: "http", Host: whom.address, Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set(memberHeader, c.options.Node)
	nonce := c.secrets.Sign(r, c.options.Cluster, body)
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", rules.ErrNoAnswer, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		return 0, fmt.Errorf("%s answers %d: %s", whom.name, answer.StatusCode, bytes.TrimSpace(text))
	}
	in := wire.NewChunkReader(bufio.NewReaderSize(answer.Body, 32<<10), c.secrets.Opening(nonce).Box())
	for {
		chunk, err := in.Next()
		if errors.Is(err, io.EOF) {
			return in.Size(), nil
		}
		if err == nil {
			err = take(chunk)
		}
		if err != nil {
			return in.Size(), err
		}
	}
}

// exchange asks a member for its marks, and tells it this node's.
func (c *Cluster) exchange(ctx context.Context, e rules.Exchange) rules.Exchanged {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	theirs, read, err := c.exchangeAt(ctx, c.member(e.Member))
	if err != nil && ctx.Err() == nil {
		c.log.Debug("an exchange failed", "member", e.Member, "error", err)
	}
	c.exchanged.add(e.Member, read, 0)
	return rules.Exchanged{Exchange: e, Marks: theirs, Err: err}
}

// exchangeAt exchanges marks with who answers at an address, if it has the name.
func (c *Cluster) exchangeAt(ctx context.Context, whom addressee) (theirs []wire.Status, read int, err error) {
	query := url.Values{"at": {c.address}}
	read, err = c.ask(ctx, whom, http.MethodPost, marksPath, query, c.marks(), func(chunk []byte) error {
		from, list, err := wire.ReadMarks(chunk)
		if err == nil && from != whom.name {
			err = wire.ErrDamaged
		}
		theirs = list
		return err
	})
	if err == nil && theirs == nil {
		err = io.ErrUnexpectedEOF
	}
	return theirs, read, err
}

// pull gets the state of an origin and merges it.
func (c *Cluster) pull(ctx context.Context, p rules.Pull, m *merger) rules.Pulled {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	outcome := rules.Outcome{Whole: true}
	in := wire.StateReader{
		After: p.After,
		Begin: func(s *wire.Status, wall int64) bool {
			return c.mail.postAndWait(ctx, c.life, rules.Began{Pull: p, Status: *s, Wall: wall}) == nil
		},
		Merge: func(e *wire.Entries) bool {
			more := m.merge(e, true)
			outcome.Add(more)
			return more.Whole
		},
	}
	query := url.Values{
		"origin": {p.ID.Node}, "incarnation": {strconv.FormatUint(p.ID.Incarnation, 10)}, "after": {strconv.FormatUint(p.After, 10)},
	}
	if p.Builds {
		query.Set("builds", "1")
	}
	whom := c.member(p.Member)
	if p.Address != "" {
		whom.address, whom.run = p.Address, p.ID.Incarnation
	}
	read, err := c.ask(ctx, whom, http.MethodGet, statePath, query, nil, in.Take)
	if err == nil && (!in.Done || in.Status.ID != p.ID) {
		err = io.ErrUnexpectedEOF
	}
	c.log.Debug("pulled", "origin", p.ID.Node, "member", p.Member, "after", p.After, "mark", in.Status.Mark, "bytes", read)
	if err != nil && ctx.Err() == nil {
		c.log.Debug("a pull failed", "member", p.Member, "origin", p.ID.Node, "error", err)
	}
	c.exchanged.add(p.Member, read, 0)
	return rules.Pulled{Pull: p, Status: in.Status, Exact: in.Exact, Outcome: outcome, Err: err}
}

// exchanged are the bytes of marks and states, by member: those received from who was
// asked, and those sent to who asked.
type exchanged struct {
	mu       sync.Mutex
	byMember map[string]inOut // forgotten with the member
	all      inOut
}

type inOut struct{ in, out uint64 }

func (e *exchanged) add(member string, in, out int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byMember == nil {
		e.byMember = make(map[string]inOut)
	}
	of := e.byMember[member]
	e.byMember[member] = inOut{of.in + uint64(in), of.out + uint64(out)}
	e.all = inOut{e.all.in + uint64(in), e.all.out + uint64(out)}
}

func (e *exchanged) with(member string) (in, out uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of := e.byMember[member]
	return of.in, of.out
}

func (e *exchanged) total() (in, out uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all.in, e.all.out
}

// forget drops the figures of members that are not known any more.
func (e *exchanged) forget(known func(member string) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.byMember, func(member string, _ inOut) bool { return !known(member) })
}
