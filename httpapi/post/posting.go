package post

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"remuda/httpapi/headers"
	"remuda/httpapi/problem"
	"remuda/store"
)

// Fast path of posts, for plain HTTP/1.1. A gateway keeps its connection and posts
// small bodies over it, each with the same head but for the length. So connections
// begin here: the head of a post is read as the server would and remembered, and those
// that are equal to it are not read again. With a head that is not as plain as plainHead
// wants it, or of another request, the connection goes to the server, which is the slow
// path; its next plain post brings it back.

// poster is a connection that posts, or may. It belongs to one goroutine.
type poster struct {
	posts   *Posts
	conn    net.Conn
	socket  syscall.RawConn // nil: nothing is known of it
	reader  *bufio.Reader
	known   *postHead     // the head of the post before, or of another's; nil at first
	request *http.Request // as it says; reused for all with the same head
	body    framedBody    // of the post under way
	text    []byte        // reused
	out     []byte        // reused
	fresh   bool          // nothing has been read
	waits   time.Time     // the deadline for the next head
	writes  time.Time     // the deadline for answers
}

const (
	headTime   = 5 * time.Second  // for a first head, or the rest of one
	answerTime = 30 * time.Second // for an answer to be taken
	idleTime   = 60 * time.Second // between posts, less up to an eighth
	givenUp    = time.Second      // after which a sender that sends no more does not wait either
)

// newPoster returns the poster of a connection of which something may have been read.
func newPoster(all *Posts, conn net.Conn, read ...byte) *poster {
	p := &poster{posts: all, conn: conn}
	p.knows(all.heads.Load()) // senders are often alike
	if c, ok := conn.(syscall.Conn); ok {
		p.socket, _ = c.SyscallConn() // nil will do
	}
	if len(read) > 0 {
		p.reader = bufio.NewReader(io.MultiReader(bytes.NewReader(read), conn))
	} else {
		p.reader = bufio.NewReader(conn)
	}
	p.body = framedBody{LimitedReader: io.LimitedReader{R: p.reader}, poster: p}
	return p
}

// takePost takes over the connection of a post that the server has, if it may be. The
// request is answered then.
func (p *Posts) takePost(w http.ResponseWriter, r *http.Request) bool {
	if most, _, _ := p.options.Ingester.Limits(); p.front == nil || !likelyPlain(r) || r.ContentLength > most {
		return false
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false // a writer that cannot: a recorder, or some middleware's
	}
	read, _ := buffered.Peek(buffered.Reader.Buffered()) // they are there
	read = slices.Clone(read)
	if begun, ok := conn.(*begunConn); ok {
		conn, read = begun.Conn, append(read, begun.read...)
	}
	taken := newPoster(p, conn, read...)
	taken.request = r.WithContext(p.underway.context) // that of the server ends now
	p.underway.begin(conn)
	p.front.running.Go(func() {
		taken.serve(func() bool {
			defer taken.knows(taken.known) // the request is of this post alone
			return taken.post(r.ContentLength)
		})
	})
	return true
}

// begin serves a connection that has just been accepted. One whose sender has given
// up while it waited for that is of no use to anybody.
func (p *poster) begin() {
	if p.socket != nil && hungUp(p.socket) && lain(p.socket) > givenUp {
		_ = p.conn.Close() // nothing has been written
		return
	}
	p.fresh = true
	p.serve(func() bool { return true })
}

// serve answers posts until the connection ends or goes to the server, if the first,
// which has no head that is to be read, lets it.
func (p *poster) serve(first func() bool) {
	goes := false
	defer func() {
		p.posts.underway.end(p.conn)
		if err := recover(); err != nil { // as the server does
			p.posts.options.Logger.Error("a post failed", "error", err, "stack", string(debug.Stack()))
			goes = false
		}
		if !goes {
			_ = p.conn.Close() // what could be written has been
			return
		}
		read, _ := p.reader.Peek(p.reader.Buffered()) // they are there
		_ = p.conn.SetDeadline(time.Time{})           // the server sets its own
		p.posts.front.giveBack(p.conn, slices.Clone(read))
	}()
	for more := first(); more && p.rest(); {
		p.posts.underway.begin(p.conn)
		length, ok := p.head()
		if !ok {
			goes = true
			return
		}
		p.fresh = false
		more = p.post(length)
	}
	// While a node ends, it is the server that ends connections, and answers members.
	goes = p.fresh && p.posts.underway.areEnding()
}

// rest waits for another post. It reports whether there is one.
func (p *poster) rest() bool {
	// A deadline that is mostly still ahead will do: setting one costs as much as
	// reading a head.
	deadline := time.Time{}
	if now := time.Now(); p.fresh {
		deadline = now.Add(headTime)
	} else if p.waits.Sub(now) < idleTime-idleTime/8 {
		p.waits = now.Add(idleTime)
		deadline = p.waits
	}
	if !p.posts.underway.rest(p.conn, deadline) {
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
		if p.conn.SetReadDeadline(time.Now().Add(p.posts.options.BodyTimeout)) != nil {
			return false
		}
	}
	p.body.N = length
	p.request.Body, p.request.ContentLength = &p.body, length
	receipt, err := p.posts.ingestPost(p.request, false)
	if err != nil {
		return p.refuse(err)
	}
	return p.answer(&receipt)
}

// framedBody is the body of a poster's post, of which nothing may be missing: the end
// of the connection is not its end. It is a [sentBody].
type framedBody struct {
	io.LimitedReader
	poster *poster
}

func (b *framedBody) Read(into []byte) (int, error) {
	n, err := b.LimitedReader.Read(into)
	if errors.Is(err, io.EOF) && b.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close lets the poster go on.
func (b *framedBody) Close() error { return nil }

// Whole implements sentBody.
func (b *framedBody) Whole() bool {
	p := b.poster
	if int64(p.reader.Buffered()) >= b.N {
		return true
	}
	if p.socket == nil {
		return false
	}
	if p.reader.Buffered() == 0 {
		_, _ = p.reader.Peek(1) // an error comes again
	}
	return int64(p.reader.Buffered()+unread(p.socket)) >= b.N
}

// Gone implements sentBody.
func (b *framedBody) Gone() bool { return b.poster.socket != nil && hungUp(b.poster.socket) }

// Interrupt implements sentBody.
func (b *framedBody) Interrupt() { _ = b.poster.conn.SetReadDeadline(time.Now()) } // it may be at its end

// refuse answers with an error. What is left of the body is in the way of the next
// post: a little is read away, and with more the connection ends.
func (p *poster) refuse(err error) bool {
	const little, patience = 256 << 10, 5 * time.Second
	if problem.Code(err) == "canceled" {
		return false // nobody is there to be told
	}
	if p.body.N > 0 && p.body.N <= little {
		p.readAway()
	}
	p.out = p.posts.refusal(p.out[:0], p.request, err, p.body.N > 0)
	if !p.write(p.out) {
		return false
	}
	if p.body.N == 0 {
		return true
	}
	// A connection that is closed with something unread is reset, and the answer with it.
	if c, ok := p.conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil && p.conn.SetReadDeadline(time.Now().Add(patience)) == nil {
		p.readAway()
	}
	return false
}

var scratches = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// readAway reads the rest of the body away, as far as it comes. While it waits it holds
// no more than the reader.
func (p *poster) readAway() {
	for p.body.N > 0 {
		away := min(p.body.N, int64(p.reader.Buffered()))
		_, _ = p.reader.Discard(int(away)) // they are there
		if away == 0 && p.socket != nil {
			into := scratches.Get().(*[32 << 10]byte)
			away = int64(discard(p.socket, into[:min(p.body.N, int64(len(into)))]))
			scratches.Put(into)
		}
		if p.body.N -= away; away > 0 {
			continue
		}
		if _, err := p.reader.Peek(1); err != nil {
			return
		}
	}
}

// answer answers a post that was counted.
func (p *poster) answer(r *store.Receipt) bool {
	p.text = appendReceipt(p.text[:0], r)
	p.out = append(p.out[:0], "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"+headers.GuardLines+"Date: "...)
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
