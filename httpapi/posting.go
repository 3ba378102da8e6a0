package httpapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"remuda/store"
)

// Fast path of posts, for plain HTTP/1.1. A gateway keeps its connection and posts
// small bodies over it, each with the same head but for the length. So the
// connection is taken over from the server after its first post, the head of the
// next is read as the server would and remembered, and those that are equal to it
// are not read again. With a head that is not as plain as plainHead wants it, the
// connection goes back to the server, which is the slow path.

// taking is what the fast path needs of the server: somebody who accepts the
// connections that go back. It is a net.Listener.
type taking struct {
	conns chan net.Conn
	ended chan struct{}
	addr  net.Addr
}

// Returned makes the API take over connections that post, and returns the listener
// by which they come back to the server, which must accept from it. Call it before
// the server serves; address is that of the server's own listener.
func (a *API) Returned(address net.Addr) net.Listener {
	a.taking = &taking{conns: make(chan net.Conn), ended: make(chan struct{}), addr: address}
	return a.taking
}

func (t *taking) Accept() (net.Conn, error) {
	select {
	case conn := <-t.conns:
		return conn, nil
	case <-t.ended:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. The server calls it once.
func (t *taking) Close() error {
	close(t.ended)
	return nil
}

func (t *taking) Addr() net.Addr { return t.addr }

// giveBack returns a connection to the server with what was read of it already.
func (t *taking) giveBack(conn net.Conn, read []byte) {
	if len(read) > 0 {
		conn = &begunConn{conn, read}
	}
	select {
	case t.conns <- conn:
	case <-t.ended:
		_ = conn.Close() // the node ends
	}
}

// begunConn is a connection of which something has been read already.
type begunConn struct {
	net.Conn
	read []byte
}

func (c *begunConn) Read(into []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(into)
	}
	n := copy(into, c.read)
	c.read = c.read[n:]
	return n, nil
}

// NetConn is the connection without what was read.
func (c *begunConn) NetConn() net.Conn { return c.Conn }

// withoutBegun is the connection itself when nothing is left of what had been read.
func withoutBegun(conn net.Conn) net.Conn {
	if begun, ok := conn.(*begunConn); ok && len(begun.read) == 0 {
		return begun.Conn
	}
	return conn
}

// takePosts takes over the connection of a post that was counted, if it may be,
// answers, calls done, and serves the connection until it ends or goes back.
func (a *API) takePosts(w http.ResponseWriter, r *http.Request, receipt *store.Receipt, done func()) bool {
	if a.taking == nil || !likelyPlain(r) {
		return false
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false // a writer that cannot: a recorder, or some middleware's
	}
	read, _ := buffered.Peek(buffered.Reader.Buffered()) // they are there
	conn = withoutBegun(conn)
	p := &poster{api: a, conn: conn, remote: r.RemoteAddr, reader: bufio.NewReader(io.MultiReader(bytes.NewReader(slices.Clone(read)), conn))}
	answered := p.answer(receipt)
	done()
	if answered {
		p.serve()
	} else {
		_ = conn.Close() // the answer could not be written either
	}
	return true
}

// poster is a taken connection that posts. It belongs to one goroutine.
type poster struct {
	api     *API
	conn    net.Conn
	remote  string
	reader  *bufio.Reader
	request *http.Request // as the head says; reused for all with the same head
	before  []byte        // of the head, up to the length
	behind  []byte        // and from behind it
	text    []byte        // reused
	out     []byte        // reused
	waits   time.Time     // the deadline for the next head
	writes  time.Time     // the deadline for answers
}

const (
	headTime   = 5 * time.Second  // for the rest of a head
	answerTime = 30 * time.Second // for an answer to be taken
	idleTime   = 60 * time.Second // between posts, less up to an eighth
)

// serve answers posts until the connection ends or goes back.
func (p *poster) serve() {
	goesBack := false
	defer func() { // also when something panics
		p.api.posts.end(p.conn)
		if !goesBack {
			_ = p.conn.Close() // what could be written has been
			return
		}
		read, _ := p.reader.Peek(p.reader.Buffered()) // they are there
		_ = p.conn.SetDeadline(time.Time{})           // the server sets its own
		p.api.taking.giveBack(p.conn, slices.Clone(read))
	}()
	for p.rest() {
		p.api.posts.begin(p.conn)
		length, ok := p.head()
		if !ok {
			goesBack = true
			return
		}
		if !p.post(length) {
			return
		}
	}
}

// rest waits for another post. It reports whether there is one.
func (p *poster) rest() bool {
	// A deadline that is mostly still ahead will do: setting one costs as much as
	// reading a head.
	deadline := time.Time{}
	if now := time.Now(); p.waits.Sub(now) < idleTime-idleTime/8 {
		p.waits = now.Add(idleTime)
		deadline = p.waits
	}
	if !p.api.posts.rest(p.conn, deadline) {
		return false
	}
	// The server, too, waits for four bytes, and takes line ends among them for the
	// end of the post before, which some clients write.
	first, err := p.reader.Peek(4)
	if err != nil {
		return false
	}
	_, err = p.reader.Discard(len(first) - len(bytes.TrimLeft(first, "\r\n")))
	return err == nil
}

// post answers a post whose head has been read. It reports whether another one may
// follow.
func (p *poster) post(length int64) bool {
	if length > int64(p.reader.Buffered()) {
		p.waits = time.Time{}
		if p.conn.SetReadDeadline(time.Now().Add(p.api.options.BodyTimeout)) != nil {
			return false
		}
	}
	body := &framedBody{io.LimitedReader{R: p.reader, N: length}}
	p.request.Body, p.request.ContentLength = io.NopCloser(body), length
	receipt, err := p.api.ingestPost(p.request, false)
	if err != nil {
		return p.refuse(err, body)
	}
	return p.answer(&receipt)
}

// framedBody is a body of which nothing may be missing: the end of the connection
// is not its end.
type framedBody struct{ io.LimitedReader }

func (b *framedBody) Read(into []byte) (int, error) {
	n, err := b.LimitedReader.Read(into)
	if errors.Is(err, io.EOF) && b.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// head reads the head of a post and returns the length of its body. It is not ok,
// and nothing of it is taken from the reader, when the server must read it.
func (p *poster) head() (length int64, ok bool) {
	text, _ := p.reader.Peek(p.reader.Buffered()) // they are there
	if length, size := p.same(text); size > 0 {
		_, err := p.reader.Discard(size)
		return length, err == nil
	}
	// Slow path: another head, or a part of one.
	end := bytes.Index(text, endOfHead)
	if end < 0 {
		p.waits = time.Time{}
		if p.conn.SetReadDeadline(time.Now().Add(headTime)) != nil {
			return 0, false
		}
	}
	for end < 0 {
		if _, err := p.reader.Peek(len(text) + 1); err != nil {
			return 0, false // too long, too slow, or at its end: the server says so
		}
		text, _ = p.reader.Peek(p.reader.Buffered())
		end = bytes.Index(text, endOfHead)
	}
	end += len(endOfHead)
	r, at := plainHead(text[:end])
	if r == nil || !p.api.options.AllowedHosts.Allow(r.Host) {
		return 0, false
	}
	r.RemoteAddr = p.remote
	p.request = r
	p.before, p.behind = slices.Clone(text[:at]), slices.Clone(bytes.TrimLeft(text[at:end], "0123456789"))
	length, size := p.same(text)
	if size != end {
		return 0, false // no length, or one that is too great
	}
	_, err := p.reader.Discard(size)
	return length, err == nil
}

var endOfHead = []byte("\r\n\r\n")

// same returns the length of a body and the size of its head when the text begins
// with the head of the post before, but for the length.
func (p *poster) same(text []byte) (length int64, size int) {
	if len(p.before) == 0 || !bytes.HasPrefix(text, p.before) {
		return 0, 0
	}
	most, _, _ := p.api.ingester.Limits()
	i := len(p.before)
	for ; i < len(text) && text[i]-'0' <= 9; i++ {
		if length = length*10 + int64(text[i]-'0'); length > most {
			return 0, 0
		}
	}
	if i == len(p.before) || !bytes.HasPrefix(text[i:], p.behind) {
		return 0, 0
	}
	return length, i + len(p.behind)
}

// plainNames are the header fields that a plain post may have, once each.
var plainNames = []string{
	"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection", "Content-Type", "Content-Encoding", "Content-Length",
}

// plainHead reads the head of a post that needs nothing of the server, and returns
// where in it the length of the body begins. For any other head it returns nil.
func plainHead(head []byte) (r *http.Request, lengthAt int) {
	for i, c := range head {
		if c == '\n' && (i == 0 || head[i-1] != '\r') || c == '\r' && head[i+1] != '\n' || c < ' ' && c != '\r' && c != '\n' || c > '~' {
			return nil, 0
		}
	}
	if !bytes.HasPrefix(head, []byte("POST /api/v1/events HTTP/1.1\r\n")) {
		return nil, 0
	}
	seen := make(map[string]bool)
	for at := bytes.IndexByte(head, '\n') + 1; at < len(head)-2; {
		line, _, _ := bytes.Cut(head[at:], []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimLeft(value, " ")
		canonical := http.CanonicalHeaderKey(string(name))
		switch {
		case !slices.Contains(plainNames, canonical) || seen[canonical]:
			return nil, 0
		case canonical == "Connection" && !strings.EqualFold(string(value), "keep-alive"):
			return nil, 0
		case canonical == "Content-Length":
			lengthAt = at + len(line) - len(value)
		}
		seen[canonical] = true
		at += len(line) + 2
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil || lengthAt == 0 || r.Host == "" || strings.Trim(r.Host, hostChars) != "" {
		return nil, 0
	}
	return r, lengthAt
}

// hostChars are those of plain hosts. The server refuses some of the others.
const hostChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"

// likelyPlain reports whether posts with a head like that of r may be plain: a
// connection of others would go back each time.
func likelyPlain(r *http.Request) bool {
	if r.TLS != nil || r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.Close || r.RequestURI != "/api/v1/events" || r.ContentLength < 0 {
		return false
	}
	for name := range r.Header {
		if !slices.Contains(plainNames, name) {
			return false
		}
	}
	return true
}

// refuse answers with an error. What is left of the body is in the way of the next
// post: a little is read away, and with more the connection ends.
func (p *poster) refuse(err error, body *framedBody) bool {
	const little, patience = 256 << 10, 500 * time.Millisecond
	if body.N > 0 && body.N <= little {
		_, _ = io.Copy(io.Discard, body) // as far as it comes
	}
	answer := &wholeAnswer{header: make(http.Header)}
	guard(answer.header)
	answer.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	p.api.fail(answer, p.request, err)
	response := http.Response{
		StatusCode: answer.status, ProtoMajor: 1, ProtoMinor: 1, Header: answer.header,
		Body: io.NopCloser(&answer.body), ContentLength: int64(answer.body.Len()), Close: body.N > 0,
	}
	var wire bytes.Buffer
	_ = response.Write(&wire) // to memory
	if !p.write(wire.Bytes()) {
		return false
	}
	if body.N == 0 {
		return true
	}
	// A connection that is closed with something unread is reset, and the answer with it.
	if p.conn.SetReadDeadline(time.Now().Add(patience)) == nil {
		_, _ = io.CopyN(io.Discard, body, little) // as far as it comes
	}
	return false
}

// answer answers a post that was counted.
func (p *poster) answer(r *store.Receipt) bool {
	p.text = appendReceipt(p.text[:0], r)
	p.out = append(p.out[:0], "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"+guardLines+"Date: "...)
	p.out = time.Now().UTC().AppendFormat(p.out, http.TimeFormat)
	p.out = append(p.out, "\r\nContent-Length: "...)
	p.out = append(strconv.AppendInt(p.out, int64(len(p.text)), 10), "\r\n\r\n"...)
	p.out = append(p.out, p.text...)
	return p.write(p.out)
}

func (p *poster) write(wire []byte) bool {
	if now := time.Now(); p.writes.Sub(now) < answerTime-answerTime/8 {
		p.writes = now.Add(answerTime)
		if p.conn.SetWriteDeadline(p.writes) != nil {
			return false
		}
	}
	_, err := p.conn.Write(wire)
	return err == nil
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
