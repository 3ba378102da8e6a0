package cluster

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

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
	before := n.traffic.Received.Load()
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
	eventually(t, 10*time.Second, "they have come", func() bool { return n.traffic.Received.Load() > before+1_000_000 })
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
