package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// poster posts the batches of one node over one connection. It speaks HTTP/1.1
// itself: a load generator shares the machine with what it measures.
type poster struct {
	address *url.URL
	header  []byte
	conn    net.Conn
	reader  *bufio.Reader

	deadline time.Time
	wire     []byte // reused
}

func newPoster(base *url.URL) *poster {
	return &poster{address: base, header: fmt.Appendf(nil,
		"POST /api/v1/events HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: ", base.Host)}
}

func dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), map[string]string{"https": "443"}[u.Scheme])
		if u.Scheme == "http" {
			address = net.JoinHostPort(u.Hostname(), "80")
		}
	}
	if u.Scheme == "https" {
		return (&tls.Dialer{NetDialer: &d, Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", address)
	}
	return d.DialContext(ctx, "tcp", address)
}

// answer is what a node says to a batch.
type answer struct {
	status                         int
	Accepted, Duplicates, Rejected int
}

var errUnsent = errors.New("no connection")

// post sends a batch and reads the answer. An error other than errUnsent leaves
// open whether it was counted.
func (p *poster) post(ctx context.Context, body []byte) (answer, error) {
	if p.conn == nil {
		conn, err := dial(ctx, p.address)
		if err != nil {
			return answer{}, errors.Join(errUnsent, err)
		}
		p.conn, p.reader, p.deadline = conn, bufio.NewReader(conn), time.Time{}
	}
	a, keep, err := p.exchange(body)
	if err != nil || !keep {
		p.close()
	}
	return a, err
}

func (p *poster) exchange(body []byte) (a answer, keep bool, err error) {
	// One that is mostly still ahead will do.
	if now := time.Now(); p.deadline.Sub(now) < answerTime {
		p.deadline = now.Add(answerTime + answerTime/4)
		if err := p.conn.SetDeadline(p.deadline); err != nil {
			return a, false, err
		}
	}
	p.wire = append(p.wire[:0], p.header...)
	p.wire = append(strconv.AppendInt(p.wire, int64(len(body)), 10), "\r\n\r\n"...)
	if len(body) <= copied {
		p.wire = append(p.wire, body...)
		_, err = p.conn.Write(p.wire)
	} else {
		buffers := net.Buffers{p.wire, body}
		_, err = buffers.WriteTo(p.conn)
	}
	if err != nil {
		return a, false, err
	}
	// Fast path: the answer of a node that took all.
	if first, err := p.reader.Peek(1); err == nil && len(first) == 1 {
		text, _ := p.reader.Peek(p.reader.Buffered())
		if taken, size := plainAnswer(text); size > 0 {
			_, err = p.reader.Discard(size)
			return answer{status: http.StatusAccepted, Accepted: taken}, true, err
		}
	}
	response, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		return a, false, err
	}
	defer func() { _ = response.Body.Close() }() // nothing of it is left to read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return a, false, err
	}
	a.status = response.StatusCode
	if a.status == http.StatusAccepted || a.status == http.StatusUnprocessableEntity {
		if err := json.Unmarshal(text, &a); err != nil {
			return a, false, fmt.Errorf("read the answer: %w", err)
		}
	}
	return a, !response.Close, nil
}

// copied is how many bytes of a body are rather copied than written apart.
const copied = 16 << 10

var (
	answerBegin = []byte("HTTP/1.1 202 Accepted\r\n")
	answerBody  = []byte("\r\n\r\n{\"accepted\":")
	answerEnd   = []byte(`,"duplicates":0,"rejected":0,"adjusted":0,"errors":[]}` + "\n")
)

// plainAnswer reads the answer to a body of which all was counted, and its size.
// Any other answer, or a part of one, has none.
func plainAnswer(text []byte) (accepted, size int) {
	if !bytes.HasPrefix(text, answerBegin) {
		return 0, 0
	}
	head := bytes.Index(text, answerBody)
	if head < 0 || bytes.Contains(text[:head], []byte("close")) {
		return 0, 0
	}
	i := head + len(answerBody)
	for ; i < len(text) && text[i]-'0' <= 9; i++ {
		accepted = accepted*10 + int(text[i]-'0')
	}
	if !bytes.HasPrefix(text[i:], answerEnd) {
		return 0, 0
	}
	return accepted, i + len(answerEnd)
}

func (p *poster) close() {
	if p.conn != nil {
		_ = p.conn.Close() // nothing is under way
		p.conn = nil
	}
}
