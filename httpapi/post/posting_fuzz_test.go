package post

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// FuzzPlainHead: a head that is called plain means to a server just what the fast
// path takes it for.
func FuzzPlainHead(f *testing.F) {
	for _, head := range []string{
		"Host: localhost\r\nContent-Length: 5\r\n",
		"Host: localhost\r\nUser-Agent: Content-Length: 7\r\nContent-Length:12\r\nConnection: keep-alive\r\n",
		"Host: a\r\nHost: b\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: a\r\n",
		"Host: a\r\nContent-Length: 5\r\n Content-Length: 6\r\n", "Host:a\nContent-Length: 5\r\n", "Host: a\r\nContent-Length: +5\r\n",
		"Host: a\r\nContent-Length : 5\r\n", "Host: a\r\nContent-Length: 5 \r\n", "host: a\r\ncontent-length: 05\r\nAccept: \t*/*\r\n",
	} {
		text := "POST /api/v1/events HTTP/1.1\r\n" + head + "\r\n"
		f.Add([]byte(text))
		f.Add([]byte(strings.ReplaceAll(text, "\r\n", "\n")))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		end := headEnd(text)
		if end < 0 {
			return
		}
		head := text[:end]
		got, at := plainHead(head)
		if got == nil {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		digits := at
		for digits < len(head) && head[digits]-'0' <= 9 {
			digits++
		}
		length, err := strconv.ParseInt(string(head[at:digits]), 10, 64)
		if err != nil || length != want.ContentLength {
			t.Fatalf("%q: a length of %d (%v), and not %d", head, length, err, want.ContentLength)
		}
		if want.Method != http.MethodPost || want.RequestURI != "/api/v1/events" || want.Host == "" || want.Close ||
			len(want.TransferEncoding) > 0 || want.Header.Get("Origin") != "" || want.Header.Get("Expect") != "" || want.Header.Get("Upgrade") != "" {
			t.Fatalf("%q is not plain", head)
		}
	})
}
