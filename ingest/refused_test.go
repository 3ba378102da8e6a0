package ingest

import (
	"fmt"
	"strings"
	"testing"

	"remuda/store"
)

// TestRefusedAreBounded: the senders of one body that are told apart are bounded, and
// the sum is right all the same. Judged twice, a body is told of once.
func TestRefusedAreBounded(t *testing.T) {
	for _, contentType := range []string{"application/x-ndjson", "application/json"} {
		g := newIngester(t, nil)
		g.chunk = 2
		var events []string
		for i := range 3 * maxRefused {
			events = append(events, fmt.Sprintf(`{"source_node":"gw-%d","\u0063hain":"b"}`, i), decisionWith(`,"source_node":"good"`))
		}
		body := strings.Join(events, "\n")
		if contentType == "application/json" {
			body = "[" + strings.Join(events, ",") + "]"
		}
		if r, err := post(g, contentType, "", strings.NewReader(body), false); err != nil || r.Rejected != 3*maxRefused || r.Accepted != 3*maxRefused {
			t.Fatalf("%s: %+v, %v", contentType, r, err)
		}
		list := g.options.Store.Senders(store.Filter{store.ProfileDim: {"default"}})
		sum := uint64(0)
		for _, s := range list {
			sum += s.Rejected
			want := uint64(1)
			switch s.SourceNode {
			case "good":
				want = 0
			case "__other__":
				want = 2 * maxRefused
			}
			if s.Rejected != want {
				t.Errorf("%s: %d of %s, want %d", contentType, s.Rejected, s.SourceNode, want)
			}
		}
		if len(list) != maxRefused+2 || sum != 3*maxRefused {
			t.Errorf("%s: %d senders, %d events", contentType, len(list), sum)
		}
	}
}

// TestNobodysFault: what is not of an event that was read is not of the one before it,
// in this body or another.
func TestNobodysFault(t *testing.T) {
	g := newIngester(t, nil)
	w := g.newWork()
	good := decisionWith(`,"source_node":"gw-1"`)
	for _, body := range []string{good + "\nx", "", "[" + good + ",7]", "x"} {
		contentType := "application/x-ndjson"
		if body == "" || body[0] == '[' {
			contentType = "application/json"
		}
		w.body = []byte(body)
		if err := w.open(contentType); err != nil {
			t.Fatal(err)
		}
		_, _ = w.ingest(false) // the empty one is malformed
		w.release()
	}
	for _, s := range g.options.Store.Senders(store.Filter{}) {
		if want := map[string]uint64{"gw-1": 0, "n1": 4}[s.SourceNode]; s.Rejected != want {
			t.Errorf("%s: %d refused, want %d", s.SourceNode, s.Rejected, want)
		}
	}
}
