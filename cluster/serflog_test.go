package cluster

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Of lines of one kind one a minute is logged, with how many were left out; other kinds
// do not wait for it. However many kinds there are, they are bounded.
func TestSerfLog(t *testing.T) {
	var out bytes.Buffer
	l := newSerfLog(slog.New(slog.NewTextHandler(&out, nil)))
	now := time.Unix(1000, 0)
	l.now = func() time.Time { return now }
	write := func(format string, args ...any) {
		if _, err := fmt.Fprintf(l, format, args...); err != nil {
			t.Fatal(err)
		}
	}
	lines := func() []string {
		list := strings.Split(strings.TrimSpace(out.String()), "\n")
		out.Reset()
		return list
	}
	for i := range 10_000 {
		write("[ERR] memberlist: Decrypt packet failed: no installed keys, round %d from=10.0.0.%d:%d\n", i, i%256, i)
	}
	write("[ERR] memberlist: failed to receive: EOF from=10.0.0.1:1\n")
	write("[WARN] memberlist: discarding packet with unacceptable label \"a\": from=10.0.0.1:1\n")
	write("[WARN] memberlist: discarding packet with unacceptable label \"b\": from=10.0.0.1:1\n")
	if got := lines(); len(got) != 3 || !strings.Contains(got[0], "round 0 from=10.0.0.0:0") {
		t.Errorf("logged: %q", got)
	}
	now = now.Add(logEvery)
	write("[ERR] memberlist: Decrypt packet failed: the last\n")
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], "left_out=9999") || !strings.Contains(got[0], "level=WARN") {
		t.Errorf("a minute later: %q", got)
	}
	rng := rand.New(rand.NewPCG(1, 0))
	word := func() string {
		b := make([]byte, 8)
		for i := range b {
			b[i] = byte('a' + rng.IntN(26))
		}
		return string(b)
	}
	for range 100_000 {
		write("[ERR] %s: %s\n", word(), word())
	}
	if got := lines(); len(got) > maxLogKinds || len(l.kinds) > maxLogKinds+1 {
		t.Errorf("%d lines of %d kinds", len(got), len(l.kinds))
	}
	now = now.Add(logEvery)
	write("[ERR] serf: something else\n")
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], "something else") || len(l.kinds) > 2 {
		t.Errorf("a minute later: %q of %d kinds", got, len(l.kinds))
	}
}

// TestGarbage: packets and streams of somebody without the secret cost some lines of log,
// not one each.
func TestGarbage(t *testing.T) {
	var out syncBuffer
	n := newTestNode(t, testOptions{name: "a", secret: testSecret, logger: slog.New(slog.NewTextHandler(&out, nil))})
	conn, err := net.Dial("udp", n.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rng := rand.New(rand.NewPCG(1, 0))
	garbage := make([]byte, 200)
	before := n.traffic.received.Load()
	for i := range 20_000 {
		for j := range garbage {
			garbage[j] = byte(rng.Uint32())
		}
		if i%2 == 0 { // a label that is not the cluster's
			copy(garbage, "\xf4\x05other")
		}
		if _, err := conn.Write(garbage); err != nil {
			t.Fatal(err)
		}
		if i%200 == 0 {
			stream, err := net.Dial("tcp", n.Address())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Write(garbage); err != nil {
				t.Fatal(err)
			}
			stream.Close()
		}
	}
	eventually(t, 10*time.Second, "they have come", func() bool { return n.traffic.received.Load() > before+1_000_000 })
	n.count(10, 2)
	eventually(t, 10*time.Second, "it goes on", func() bool { return n.store.Sequence() > 2 })
	if lines := strings.Count(out.String(), "\n"); lines == 0 || lines > 40 {
		t.Errorf("%d lines are logged:\n%.3000s", lines, out.String())
	} else {
		t.Logf("%d lines for 20,000 packets and 100 streams", lines)
	}
}

// A syncBuffer may be written and read at the same time.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
