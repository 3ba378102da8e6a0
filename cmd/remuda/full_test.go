package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestFullNode: a node whose connections are all taken answers for its health and is
// measured, and tells others that it is full.
func TestFullNode(t *testing.T) {
	t.Parallel()
	c := newProcessCluster(t)
	m := c.add("iad", "--max-connections", "4")
	m.start()
	m.await()
	c.reader.CloseIdleConnections()
	c.client.CloseIdleConnections()

	var streams []net.Conn
	eventually(t, 30*time.Second, "four streams are open", func() bool {
		conn, err := net.Dial("tcp", m.http)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /api/v1/providers?format=sse HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
			_ = conn.Close() // those who asked before still have a place
			return false
		}
		t.Cleanup(func() { _ = conn.Close() })
		streams = append(streams, conn)
		return len(streams) == 4
	})

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	status := func(path string) int {
		resp, err := client.Get("http://" + m.http + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body) // what it says does not matter
		if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: no Retry-After", path)
		}
		return resp.StatusCode
	}
	for range 16 { // as many as there are spare ones; each gives its place back
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			if got := status(path); got != http.StatusOK {
				t.Fatalf("%s of a full node: %d", path, got)
			}
		}
		if got := status("/api/v1/providers"); got != http.StatusServiceUnavailable {
			t.Fatalf("a read of a full node: %d", got)
		}
	}
	_ = streams[0].Close()
	eventually(t, 30*time.Second, "the place that was given back is taken", func() bool {
		return status("/api/v1/providers") == http.StatusOK
	})
}
