package cluster

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"remuda/cluster/link"
	"remuda/cluster/rules"
)

const testSecret = "a secret of the cluster"

// signedPull is a request for all of a's state by b, as text.
func signedPull(t *testing.T, b *testNode, of *testNode, c string) string {
	t.Helper()
	path := fmt.Sprintf("%s?after=0&incarnation=%d&origin=%s", statePath, of.Incarnation(), of.options.Node)
	if c != "" {
		path += "&call=" + c
	}
	r, err := http.NewRequest(http.MethodGet, "http://node"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.secrets.Sign(r, "remuda", nil)
	var text strings.Builder
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// sends a request as text and returns the status of the answer.
func sends(t *testing.T, address, request string) int {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body) // its status is what counts
	return answer.StatusCode
}

// TestRepeatedCall: a recorded request is not answered again, neither by the run that
// answered it nor by another, and cannot be changed into one that is.
func TestRepeatedCall(t *testing.T) {
	nodes := testCluster(t, 2, testOptions{secret: testSecret})
	a, b := nodes[0], nodes[1]
	address := a.server.Listener.Addr().String()
	recorded := signedPull(t, b, a, link.Call{From: "b", Session: 77, Serial: 1, Run: a.Incarnation()}.String())
	for _, test := range []struct {
		what, request string
		status        int
	}{
		{"a request", recorded, http.StatusOK},
		{"the same again", recorded, http.StatusConflict},
		{"with another number", strings.Replace(recorded, "call=b/77/1/", "call=b/77/2/", 1), http.StatusForbidden},
		{"without one", strings.Replace(recorded, "&call=b/77/1/"+fmt.Sprint(a.Incarnation()), "", 1), http.StatusForbidden},
		{"one for a former run", signedPull(t, b, a, link.Call{From: "b", Session: 77, Serial: 3, Run: a.Incarnation() - 1}.String()), http.StatusConflict},
		{"one of a run that is not known", signedPull(t, b, a, link.Call{From: "b", Session: 77, Serial: 4, Run: 0}.String()), http.StatusOK},
		{"one of the version before", signedPull(t, b, a, ""), http.StatusOK},
	} {
		if got := sends(t, address, test.request); got != test.status {
			t.Errorf("%s: status %d, want %d", test.what, got, test.status)
		}
	}
	if got := a.repeated.Load(); got < 2 {
		t.Errorf("%d repeated requests are counted", got)
	}
	a.count(600, 300)
	eventually(t, 10*time.Second, "members pull from each other all the same", func() bool { return agree(nodes, 600) })
}

// smallBuffers lets a connection hold little of what its other end does not read.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return c, err
}

// TestSlowReaders: whoever asks for states and does not read them takes no turn from
// others, and is cut.
func TestSlowReaders(t *testing.T) {
	nodes := testCluster(t, 2, testOptions{secret: testSecret})
	a, b := nodes[0], nodes[1]
	a.count(20_000, 20_000)
	eventually(t, 20*time.Second, "all agree", func() bool { return agree(nodes, 20_000) })
	server := httptest.NewUnstartedServer(a.Handler())
	server.Listener = smallBuffers{server.Listener}
	server.Start()
	defer server.Close()
	address := server.Listener.Addr().String()

	const slow = 20
	var readers []*bufio.Reader
	for i := range slow {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, signedPull(t, b, a, link.Call{From: "b", Session: 1000 + uint64(i), Serial: 1, Run: 0}.String())); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, bufio.NewReaderSize(conn, 16))
	}
	given := 0
	for _, r := range readers {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode == http.StatusOK {
			given++
		}
	}
	if given != rules.MaxPulls {
		t.Errorf("%d of %d who read nothing have a turn, want %d", given, slow, rules.MaxPulls)
	}
	if status := sends(t, address, signedPull(t, b, a, link.Call{From: "a", Session: 5, Serial: 1, Run: 0}.String())); status != http.StatusOK {
		t.Errorf("another one is answered with status %d", status)
	}
	took := eventually(t, 30*time.Second, "they are cut", func() bool {
		return a.turns.Count() == 0
	})
	if most := 6 * time.Second; took > most {
		t.Errorf("they were cut after %v, want at most %v", took, most)
	}
	t.Logf("the last had its turn until %v after another one was answered", took.Round(time.Millisecond))
}
