package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestDrainUnderPost: a body that is still coming when a member is told to end is
// either counted everywhere or refused, also when it comes too late.
func TestDrainUnderPost(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprint("late=", late), func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, "iad", "lhr")
			stays, leaves := c.members[0], c.members[1]
			conn, err := net.Dial("tcp", leaves.http)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			const line = `{"request_id":"r%d","chain":"base","method":"eth_call","provider_id":"p1","duration_ms":5,"result":"success"}` + "\n"
			first, second := fmt.Sprintf(line, 1), fmt.Sprintf(line, 2)
			fmt.Fprintf(conn, "POST /api/v1/events HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s",
				leaves.http, len(first)+len(second), first)
			eventually(t, 10*time.Second, "it is being read", func() bool { return leaves.read("/readyz", nil) == nil })
			leaves.signal(syscall.SIGTERM)
			eventually(t, 10*time.Second, "it ends", func() bool {
				if late {
					return stays.view()[leaves.name].State == "left"
				}
				return leaves.read("/readyz", nil) != nil
			})
			_, _ = io.WriteString(conn, second) // what came of it is in the answer
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if status := leaves.exits(10 * time.Second); status != 0 {
				t.Errorf("it ends with status %d", status)
			}
			want := uint64(0)
			if answer.StatusCode == http.StatusAccepted {
				want = 2
			}
			if calls, err := stays.total(); calls != want || err != nil || !late && want == 0 {
				t.Errorf("answered with status %d, and the other member has %d calls: %v", answer.StatusCode, calls, err)
			}
			t.Logf("answered with status %d, and the other member has %d calls", answer.StatusCode, want)
		})
	}
}

// TestDrainStreams: a member that is told to end under load says bye to a thousand
// readers and ends in time, and the other has all that it acknowledged.
func TestDrainStreams(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "iad", "lhr")
	leaves := c.members[1]
	stop := c.load()
	defer stop()
	const readers = 1000
	var ready, done sync.WaitGroup
	var byes atomic.Int32
	for range readers {
		ready.Add(1)
		done.Go(func() {
			began := sync.OnceFunc(ready.Done)
			defer began()
			conn, err := net.Dial("tcp", leaves.http)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "GET /api/v1/providers HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", leaves.http)
			lines := bufio.NewScanner(conn)
			lines.Buffer(nil, 1<<20)
			last := ""
			for lines.Scan() {
				if event, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
					last = event
					began()
				}
			}
			if last == "bye" && lines.Err() == nil {
				byes.Add(1)
			}
		})
	}
	ready.Wait()
	leaves.drains()
	done.Wait()
	stop()
	if byes.Load() != readers {
		t.Errorf("%d of %d readers are told that it ends", byes.Load(), readers)
	}
	all := c.booked()
	c.members = c.members[:1]
	calls, _ := c.agreeOn(10*time.Second, all.acknowledged, all.acknowledged+all.unanswered)
	t.Logf("%d calls, %+v booked", calls, all)
}
