package httpapi_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"remuda/httpapi"
)

// Only on Linux sockets are asked what was acknowledged, and watched; elsewhere what is
// under way is bounded.

// stalled opens a stream with a receive buffer of some KB and reads nothing of it.
func (n *testNode) stalled(query string) *net.TCPConn {
	n.tb.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		failed := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
		return errors.Join(err, failed)
	}}
	conn, err := dialer.Dial("tcp", n.server.Listener.Addr().String())
	if err != nil {
		n.tb.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /api/v1/providers?%s HTTP/1.1\r\nHost: localhost\r\n\r\n", query); err != nil {
		n.tb.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// TestWhatIsNotAcknowledged: frames that fit into the buffers of sockets many times over
// are not written to a reader that has stopped, its lag says for how long it has, and it is
// cut: at short intervals and at those that are longer than the timeout. What it finds when
// it goes on is an end.
func TestWhatIsNotAcknowledged(t *testing.T) {
	for name, c := range map[string]struct {
		start starter
		query string
	}{
		"taken":              {newTestNode, "format=sse&interval=100ms"},
		"taken, 60s":         {newTestNode, "format=sse&interval=60s"},
		"library":            {unhijackableNode, "format=sse&interval=100ms"},
		"library, 60s":       {unhijackableNode, "format=sse&interval=60s"},
		"lines of JSON":      {newTestNode, "format=ndjson&watch=1&interval=100ms"},
		"lines of JSON, 60s": {newTestNode, "format=ndjson&watch=1&interval=60s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := c.start(t, func(o *httpapi.Options) { o.WriteTimeout = 2 * time.Second })
			var lines []string
			for i := range 30 {
				lines = append(lines, decision("c", fmt.Sprint("p", i), ""))
			}
			n.post(http.StatusAccepted, lines...)
			conn := n.stalled(c.query)
			defer conn.Close()
			var row map[string]any
			written := func() any { return []any{row["frames_total"], row["bytes_total"]} }
			n.eventually("its lag is not seen", func() bool {
				if rows := n.rows("/api/v1/subscribers"); len(rows) > 0 {
					row = rows[0]
				}
				lag, _ := row["lag_ms"].(float64)
				return lag > 500
			})
			before := fmt.Sprint(written())
			n.eventually("it is not cut", func() bool {
				n.post(http.StatusAccepted, lines...)
				rows := n.rows("/api/v1/subscribers")
				if len(rows) > 0 {
					row = rows[0]
				}
				return len(rows) == 0
			})
			if after := fmt.Sprint(written()); after != before && !strings.HasSuffix(c.query, "60s") { // what was due is not older
				t.Errorf("%s frames and bytes had been written when it was behind, %s when it was cut", before, after)
			}
			if lag := row["lag_ms"].(float64); lag > 10_000 {
				t.Errorf("it was cut after %v ms", lag)
			}
			if _, _, text := n.get("/metrics"); metric(t, text, "remuda_subscribers_cut_total") != 1 {
				t.Error("no stream is counted as cut")
			}
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			got, err := io.Copy(io.Discard, conn)
			if got > 64<<10 || errors.Is(err, syscall.EAGAIN) || err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("it gets %d bytes, %v", got, err)
			}
		})
	}
}

// TestReadersThatClose: that a reader is gone is known at once, whatever the interval; one
// that closes its own direction only goes on.
func TestReadersThatClose(t *testing.T) {
	n := newTestNode(t, func(o *httpapi.Options) { o.Heartbeat = time.Minute })
	n.post(http.StatusAccepted, decision("c", "p", ""))
	var conns []net.Conn
	for i := range 100 {
		conn := n.rawConn("GET /api/v1/providers?format=sse&interval=60s HTTP/1.1\r\nHost: localhost\r\n\r\n")
		defer conn.Close()
		readUntil(t, conn, "event: snapshot")
		if i%2 == 0 {
			if err := conn.(*net.TCPConn).SetLinger(0); err != nil { // a reset
				t.Fatal(err)
			}
		}
		conns = append(conns, conn)
	}
	half := n.rawConn("GET /api/v1/providers?format=sse&interval=100ms HTTP/1.1\r\nHost: localhost\r\n\r\n")
	defer half.Close()
	if err := half.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	open := func() int { return len(n.rows("/api/v1/subscribers")) }
	n.eventually("not all are there", func() bool { return open() == 101 })
	files := descriptors(t)
	for _, conn := range conns {
		_ = conn.Close()
	}
	n.eventually("readers that closed stay", func() bool { return open() == 1 && descriptors(t) <= files-200 })
	for range 5 {
		readUntil(t, half, "event: delta")
	}
}
