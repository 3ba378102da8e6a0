package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeNode answers requests, and remembers the lines that it took.
type fakeNode struct {
	most      int           // bytes of a body; 0: any
	awayUntil time.Duration // since the first request
	began     time.Time
	sizes     []int
	took      []string
}

func (n *fakeNode) RoundTrip(r *http.Request) (*http.Response, error) {
	if n.began.IsZero() {
		n.began = time.Now()
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	answer := func(status int, text string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: make(http.Header), Body: io.NopCloser(strings.NewReader(text))}, nil
	}
	switch {
	case time.Since(n.began) < n.awayUntil:
		return nil, errors.New("nobody is there")
	case n.most > 0 && len(body) > n.most:
		return answer(http.StatusRequestEntityTooLarge, "<html>a proxy's own words</html>")
	}
	n.sizes = append(n.sizes, len(body))
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	n.took = append(n.took, lines...)
	return answer(http.StatusAccepted, fmt.Sprintf(`{"accepted":%d}`, len(lines)))
}

func (n *fakeNode) sender(said *bytes.Buffer) *sender {
	return newSender("http://node/api/v1/events", 8, &http.Client{Transport: n}, func(format string, args ...any) { fmt.Fprintf(said, format, args...) })
}

// TestSendHalves: what is too large for the node is sent in halves, in order, smaller
// requests follow, and a line that is too large by itself is refused by its number.
func TestSendHalves(t *testing.T) {
	var lines []string
	for n := range 500 {
		lines = append(lines, fmt.Sprintf(`{"n":%d,"filler":%q}`, n, strings.Repeat("x", n%90)))
	}
	lines[321] = strings.Repeat("y", 3000)
	want := slices.Delete(slices.Clone(lines), 321, 322)
	for _, most := range []int{200, 1000, 1999, 10_000} {
		n, said := &fakeNode{most: most}, new(bytes.Buffer)
		s := n.sender(said)
		if err := s.sendAll(t.Context(), strings.NewReader(strings.Join(lines, "\n")), 100, time.Hour); err != nil {
			t.Fatal(err)
		}
		want, rejected := want, 1
		if most > 3000 {
			want, rejected = lines, 0
		}
		if !slices.Equal(n.took, want) || s.accepted != len(want) || s.rejected != rejected || s.sent != len(lines) {
			t.Errorf("%d bytes: the node took %d lines, want %d; %d accepted, %d rejected", most, len(n.took), len(want), s.accepted, s.rejected)
		}
		if refused := strings.Contains(said.String(), "line 322: body_too_large"); refused != (rejected > 0) {
			t.Errorf("%d bytes: %s", most, said)
		}
	}
}

// TestSendBatchBytes: no request has more than 1,000,000 bytes, the last line included,
// but one of a longer line alone.
func TestSendBatchBytes(t *testing.T) {
	long := strings.Repeat("z", 300_000-1) // with its end
	lines := []string{long, long, long, long[:100_000-1], "{}", long, strings.Repeat("w", 1_200_000), "{}"}
	n := &fakeNode{}
	s := n.sender(new(bytes.Buffer))
	if err := s.sendAll(t.Context(), strings.NewReader(strings.Join(lines, "\r\n")+"\r\n"), 1000, time.Hour); err != nil {
		t.Fatal(err)
	}
	if want := []int{1_000_000, 300_003, 1_200_001, 3}; !slices.Equal(n.sizes, want) || !slices.Equal(n.took, lines) {
		t.Errorf("requests of %d bytes, want %d", n.sizes, want)
	}
}

// slowPipe gives a line every 1.1 s.
type slowPipe struct{ left int }

func (p *slowPipe) Read(into []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.left--
	time.Sleep(1100 * time.Millisecond)
	return copy(into, "{}\n"), nil
}

// TestSendAway: that the node is away is said at once and every ten seconds, with what
// waits; then that it is back.
func TestSendAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, said := &fakeNode{awayUntil: 23 * time.Second}, new(bytes.Buffer)
		s := n.sender(said)
		s.retries = 20 // pauses are random
		if err := s.sendAll(t.Context(), &slowPipe{60}, 1, time.Second); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSpace(said.String()), "\n")
		if len(got) < 4 || len(got) > 6 || s.accepted != 60 {
			t.Fatalf("%d accepted; said %q", s.accepted, got)
		}
		for i, waits := range []string{"; 1 lines wait", "; 10 lines wait", "; 19 lines wait"} {
			if !strings.Contains(got[i], waits) || !strings.Contains(got[i], "nobody is there") {
				t.Errorf("%q, want %s", got[i], waits)
			}
		}
		if last := got[len(got)-1]; !strings.Contains(last, "answers again") {
			t.Error(last)
		}
	})
}

// TestSendGivesUp: what is lost is counted, what is still in the pipe included.
func TestSendGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		in   io.Reader
		want string
	}{
		"a file": {strings.NewReader(strings.Repeat("{}\n\n", 20_000)), "20000 of the 20000 lines read were not sent: "},
		"a pipe": {io.MultiReader(strings.NewReader(strings.Repeat("{}\n", 20_000)), &slowPipe{1000}), "20000 of the 20000 lines read were not sent, nor what is still to come: "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &fakeNode{awayUntil: time.Hour}
				s := n.sender(new(bytes.Buffer))
				s.retries = 1
				err := s.sendAll(t.Context(), c.in, 1000, time.Second)
				if err == nil || !strings.HasPrefix(err.Error(), c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
				time.Sleep(time.Minute) // the pipe is let go
			})
		})
	}
}

// TestSendInterrupted: what is in the pipe is still sent, to a node that is there; to
// one that is not for five seconds at most.
func TestSendInterrupted(t *testing.T) {
	for _, away := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			n := &fakeNode{}
			if away {
				n.awayUntil = time.Hour
			}
			s := n.sender(new(bytes.Buffer))
			time.AfterFunc(500*time.Millisecond, interrupt)
			began := time.Now()
			err := s.sendAll(ctx, io.MultiReader(strings.NewReader(strings.Repeat("{}\n", 6000)), &slowPipe{1}), 1000, time.Hour)
			if took := time.Since(began); took > 500*time.Millisecond+endPatience+stillTime {
				t.Errorf("it took %v", took)
			}
			if away != (err != nil) || !away && s.accepted != 6000 {
				t.Errorf("away %v: %d accepted, %v", away, s.accepted, err)
			}
			time.Sleep(time.Minute) // the pipe is let go
		})
	}
}
