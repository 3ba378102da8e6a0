package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestCompressedStreams: who takes gzip gets, in one member of it with a right trailer, what
// others get; and nobody else does.
func TestCompressedStreams(t *testing.T) { bothWays(t, testCompressedStreams) }

func testCompressedStreams(t *testing.T, start starter) {
	n := start(t, nil)
	var lines []string
	for i := range 100 {
		lines = append(lines, decision("c", fmt.Sprint("p", i), ""))
	}
	n.post(http.StatusAccepted, lines...)
	for _, c := range []struct {
		query, accept string
		zipped        bool
		parts         []string
	}{
		{"format=sse", "gzip, deflate, br", true, []string{"retry: ", "event: hello", "event: snapshot", "p99", "event: delta", "event: delta", `{"reason":"done"}` + "\n\n"}},
		{"format=ndjson&watch=1", "gzip", true, []string{`{"event":"snapshot","meta"`, "p99", "\n" + `{"event":"delta",`, "\n" + `{"event":"delta",`, "\n" + `{"event":"bye","reason":"done"}` + "\n"}},
		{"format=sse", "gzip;q=0, *", false, nil},
		{"format=ndjson&watch=1", "identity", false, nil},
	} {
		path := "/api/v1/providers?interval=100ms&max_frames=3&" + c.query
		_, plainHead, plain := n.get(path, "Accept-Encoding", "identity")
		_, head, got := n.get(path, "Accept-Encoding", c.accept)
		if head.Get("Content-Type") != plainHead.Get("Content-Type") || !strings.Contains(head.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: headers are %v, otherwise %v", c.query, head, plainHead)
		}
		if (head.Get("Content-Encoding") == "gzip") != c.zipped {
			t.Errorf("%s, Accept-Encoding: %s is answered with Content-Encoding: %s", c.query, c.accept, head.Get("Content-Encoding"))
			continue
		}
		if !c.zipped {
			continue
		}
		if len(got) > len(plain)/3 {
			t.Errorf("%s: %d bytes, otherwise %d", c.query, len(got), len(plain))
		}
		rest := bytes.NewReader(got)
		z, err := gzip.NewReader(rest)
		if err != nil {
			t.Fatal(err)
		}
		z.Multistream(false) // browsers take one member
		text, err := io.ReadAll(z)
		if err != nil || rest.Len() > 0 {
			t.Errorf("%s: %v, %d bytes are left", c.query, err, rest.Len())
		}
		for remaining := text; len(c.parts) > 0; c.parts = c.parts[1:] {
			var found bool
			if _, remaining, found = bytes.Cut(remaining, []byte(c.parts[0])); !found {
				t.Fatalf("%s: %q is missing in %s", c.query, c.parts[0], text)
			}
		}
	}
}
