package httpapi_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkRead answers GET /api/v1/providers of a store that is not being written:
// from the cache of rendered bodies, and unchanged for who has it, each beside a
// handler that writes the same bytes, or the same 304, without looking. Over TCP, as
// clients see it: throughput is what counts.
func BenchmarkRead(b *testing.B) {
	n := newTestNode(b, nil)
	for i := range 30 {
		n.post(http.StatusAccepted, decision([]string{"ethereum", "base", "arbitrum"}[i%3], fmt.Sprintf("provider_%d", i), ""))
	}
	const path = "/api/v1/providers?window=1h"
	_, head, body := n.get(path, "Accept-Encoding", "identity")
	constant := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("ETag", head.Get("ETag"))
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}))
	defer constant.Close()
	for _, c := range []struct{ name, url, etag string }{
		{"whole/constant", constant.URL, ""},
		{"whole/cached", n.server.URL, ""},
		{"unchanged/constant", constant.URL, head.Get("ETag")},
		{"unchanged/cached", n.server.URL, head.Get("ETag")},
	} {
		b.Run(c.name, func(b *testing.B) {
			const request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
			address := strings.TrimPrefix(c.url, "http://")
			b.ReportAllocs()
			b.SetParallelism(8) // clients that wait for their answers
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					b.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				reader := bufio.NewReaderSize(conn, 32<<10)
				unchanged := request + "If-None-Match: " + c.etag + "\r\n\r\n"
				for pb.Next() {
					text, want := request+"\r\n", http.StatusOK
					if c.etag != "" {
						text, want = unchanged, http.StatusNotModified
					}
					status, etag, err := exchange(conn, reader, text)
					if err != nil || status != want && etag == c.etag {
						b.Errorf("status %d, want %d: %v", status, want, err)
						return
					}
					if status != want { // something has left a window
						unchanged = request + "If-None-Match: " + etag + "\r\n\r\n"
					}
				}
			})
		})
	}
}

// exchange sends a request and reads the answer, with as little as a client can do.
func exchange(conn net.Conn, reader *bufio.Reader, request string) (status int, etag string, err error) {
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, "", err
	}
	length := 0
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return status, "", err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if status == 0 {
			status, _ = strconv.Atoi(string(line[len("HTTP/1.1 "):][:3]))
		} else if number, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(number))
		} else if tag, ok := bytes.CutPrefix(line, []byte("Etag: ")); ok && status == http.StatusOK {
			etag = string(tag)
		}
	}
	_, err = reader.Discard(length)
	return status, etag, err
}
