package post

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"remuda/store"
)

// TestSlowHeads: however a head dribbles in, the server has the connection back, or
// it has ended, when its time is up.
func TestSlowHeads(t *testing.T) {
	const head = "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"
	for name, c := range map[string]struct {
		begin string
		every time.Duration
		back  bool
		after time.Duration
	}{
		"nothing":         {"", time.Hour, false, headTime},
		"half a method":   {"PO", time.Hour, false, headTime},
		"another method":  {"GET", time.Second, true, time.Second},
		"nothing after":   {head + "{}", time.Hour, false, idleTime},
		"line ends":       {"\r\n\r\n", time.Hour, true, headTime},
		"half a head":     {head[:30], time.Hour, true, headTime},
		"one by one":      {head[:30], time.Second, true, headTime},
		"a post before":   {head + "{}" + head[:30], time.Hour, true, headTime},
		"dribbling after": {head + "{}" + head[:30], time.Second, true, headTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := New(Options{Ingester: takesAll{}, BodyTimeout: 15 * time.Second, Allow: func(string) bool { return true }})
				a.front = &front{Listener: noListener{}, posts: a, others: make(chan net.Conn), ended: make(chan struct{})}
				a.front.begin.Do(func() {}) // nothing is to be accepted
				client, conn := net.Pipe()
				began := time.Now()
				go newPoster(a, conn).begin()
				go func() {
					_, _ = io.Copy(io.Discard, client)
					_ = a.front.Close() // it has ended
				}()
				go func() {
					_, _ = io.WriteString(client, c.begin)
					for {
						select {
						case <-time.After(c.every):
							_, _ = io.WriteString(client, "P")
						case <-a.front.ended:
							return
						}
					}
				}()
				back, err := a.front.Accept()
				if took := time.Since(began); took != c.after || (err == nil) != c.back {
					t.Errorf("given back %v after %v, want %v after %v", err == nil, took, c.back, c.after)
				}
				if back != nil {
					_ = back.Close()
				}
				_ = client.Close()
				if len(a.underway.running)+len(a.underway.idle) > 0 {
					t.Error("it is still waited for")
				}
			})
		})
	}
}

// noListener is one of which only Close is called.
type noListener struct{ net.Listener }

func (noListener) Close() error { return nil }

// takesAll is an Ingester.
type takesAll struct{}

func (takesAll) Ingest(r *http.Request, _ bool) (store.Receipt, error) {
	_, err := io.Copy(io.Discard, r.Body)
	return store.Receipt{Accepted: 1}, err
}
func (takesAll) InFlight() (now, limit int64)             { return 0, 0 }
func (takesAll) Waiting() (now int, most time.Duration)   { return 0, 0 }
func (takesAll) Limits() (body, inflated int64, line int) { return 1 << 20, 1 << 20, 1 << 16 }

// failingListener fails with what passes, a while, and then for good.
type failingListener struct {
	net.Listener
	fails int
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.fails--; l.fails < 0 {
		return nil, net.ErrClosed
	}
	return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
}

func (l *failingListener) Close() error { return nil }

// TestFailedAccepts: without descriptors a node tries again, says so every ten seconds
// and ends only when its listener does.
func TestFailedAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		a := New(Options{Ingester: takesAll{}, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		began := time.Now()
		f := a.Listener(&failingListener{fails: 60})
		if _, err := f.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		a.front.running.Wait()
		lines := strings.Count(said.String(), "\n")
		if took := time.Since(began); took < 45*time.Second || lines < int(took/(10*time.Second)) || lines > int(took/(10*time.Second))+1 {
			t.Errorf("%d lines in %v: %s", lines, took, said.String())
		}
	})
}
