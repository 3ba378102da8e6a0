package post

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"
)

// postHead is the head of a plain post. It is never changed.
type postHead struct {
	request        *http.Request
	before, behind []byte // of the text: what is before the length of the body, and behind it
}

// knows has a poster read heads like that of another, if there is one.
func (p *poster) knows(h *postHead) {
	if p.known = h; h != nil {
		request := *h.request // a poster sets the body
		p.request = &request
	}
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
	end := headEnd(text)
	if end < 0 {
		p.waits = time.Time{}
		if p.conn.SetReadDeadline(time.Now().Add(headTime)) != nil {
			return 0, false
		}
	}
	for end < 0 {
		if !bytes.HasPrefix(text, postMethod[:min(len(text), len(postMethod))]) {
			return 0, false
		}
		if _, err := p.reader.Peek(len(text) + 1); err != nil {
			return 0, false // too long, too slow, or at its end: the server says so
		}
		text, _ = p.reader.Peek(p.reader.Buffered())
		end = headEnd(text)
	}
	r, at := plainHead(text[:end])
	if r == nil || !p.posts.options.Allow(r.Host) {
		return 0, false
	}
	p.knows(&postHead{
		r.WithContext(p.posts.underway.context),
		slices.Clone(text[:at]), slices.Clone(bytes.TrimLeft(text[at:end], "0123456789")),
	})
	length, size := p.same(text)
	if size != end {
		return 0, false // no length, or one that is too great
	}
	p.posts.heads.Store(p.known)
	_, err := p.reader.Discard(size)
	return length, err == nil
}

var postMethod = []byte("POST ")

// headEnd is where the head ends that text begins with, or -1. Lines end with a line
// feed, mostly behind a carriage return.
func headEnd(text []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '\n')
		if i < 0 {
			return -1
		}
		at += i + 1
		switch {
		case bytes.HasPrefix(text[at:], []byte("\n")):
			return at + 1
		case bytes.HasPrefix(text[at:], []byte("\r\n")):
			return at + 2
		}
	}
}

// same returns the length of a body and the size of its head when the text begins
// with the head that is known, but for the length.
func (p *poster) same(text []byte) (length int64, size int) {
	if p.known == nil || !bytes.HasPrefix(text, p.known.before) {
		return 0, 0
	}
	most, _, _ := p.posts.options.Ingester.Limits()
	i := len(p.known.before)
	for ; i < len(text) && text[i]-'0' <= 9; i++ {
		if length = length*10 + int64(text[i]-'0'); length > most {
			return 0, 0
		}
	}
	if i == len(p.known.before) || !bytes.HasPrefix(text[i:], p.known.behind) {
		return 0, 0
	}
	return length, i + len(p.known.behind)
}

// plainNames are the header fields that a plain post may have, once each.
var plainNames = []string{
	"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection", "Content-Type", "Content-Encoding", "Content-Length",
}

// plainHead reads the head of a post that needs nothing of the server, and returns
// where in it the length of the body begins. For any other head it returns nil.
func plainHead(head []byte) (r *http.Request, lengthAt int) {
	for i, c := range head {
		if c == '\r' && head[i+1] != '\n' || c < ' ' && c != '\r' && c != '\n' || c > '~' {
			return nil, 0
		}
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	if string(bytes.TrimSuffix(first, []byte("\r"))) != "POST /api/v1/events HTTP/1.1" {
		return nil, 0
	}
	seen := make(map[string]bool)
	for at := len(first) + 1; ; {
		whole, _, _ := bytes.Cut(head[at:], []byte("\n"))
		line := bytes.TrimSuffix(whole, []byte("\r"))
		if len(line) == 0 {
			break
		}
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
		at += len(whole) + 1
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
