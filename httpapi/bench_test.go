package httpapi_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkDelivery sends the frames of one view to 500 readers, over connections
// that are taken over and over those that cannot be. What counts is cpu-µs, the CPU time
// of a delivery with its reader's; the time of an operation is set by the interval.
func BenchmarkDelivery(b *testing.B) {
	for name, serve := range map[string]func(*httptest.Server){"taken": (*httptest.Server).Start, "library": serveUnhijackable} {
		b.Run(name, func(b *testing.B) {
			n := startTestNode(b, nil, serve)
			for i := range 6 {
				n.post(http.StatusAccepted, decision("c", fmt.Sprintf("p%d", i), ""))
			}
			var delivered atomic.Int64
			var group sync.WaitGroup
			conns := make([]net.Conn, 500)
			for i := range conns {
				conns[i] = n.rawConn("GET /api/v1/providers?window=1h&interval=100ms&format=sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
				group.Go(func() {
					buffer := make([]byte, 16<<10)
					for {
						read, err := conns[i].Read(buffer)
						if err != nil {
							return
						}
						delivered.Add(int64(bytes.Count(buffer[:read], []byte("event: delta"))))
					}
				})
			}
			await := func(count int64) {
				ticker := time.NewTicker(10 * time.Millisecond)
				defer ticker.Stop()
				for ; delivered.Load() < count; <-ticker.C {
					n.post(http.StatusAccepted, decision("c", "p0", ""))
				}
			}
			await(int64(len(conns)))
			before, began := cpuTime(b), delivered.Load()
			b.ResetTimer()
			await(began + int64(b.N))
			b.StopTimer()
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(delivered.Load()-began), "cpu-µs")
			for _, c := range conns {
				_ = c.Close() // the readers end by it
			}
			group.Wait()
		})
	}
}

// serveUnhijackable starts a server whose connections cannot be taken over.
func serveUnhijackable(s *httptest.Server) {
	s.Config.Handler = unhijackable(s.Config.Handler)
	s.Start()
}

// unhijackable hides that a connection can be taken over.
func unhijackable(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(struct {
			io.Writer
			plainWriter
			http.Flusher
			deadlines
		}{w, plainWriter{w}, w.(http.Flusher), deadlines{http.NewResponseController(w)}}, r)
	})
}

type plainWriter struct{ w http.ResponseWriter }

func (p plainWriter) Header() http.Header    { return p.w.Header() }
func (p plainWriter) WriteHeader(status int) { p.w.WriteHeader(status) }

type deadlines struct{ c *http.ResponseController }

func (d deadlines) SetReadDeadline(t time.Time) error  { return d.c.SetReadDeadline(t) }
func (d deadlines) SetWriteDeadline(t time.Time) error { return d.c.SetWriteDeadline(t) }

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
