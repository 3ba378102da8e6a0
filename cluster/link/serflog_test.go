package link

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// Of lines of one kind one a minute is logged, with how many were left out; other kinds
// do not wait for it. However many kinds there are, they are bounded.
func TestSerfLog(t *testing.T) {
	var out bytes.Buffer
	l := NewLog(slog.New(slog.NewTextHandler(&out, nil)))
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
