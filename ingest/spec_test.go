package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"remuda/store"
)

var testNow = time.UnixMilli(1_800_000_000_000)

func newIngester(tb testing.TB, change func(*Options)) *Ingester {
	tb.Helper()
	s, err := store.New(store.Options{
		Node: "n1", Region: "us-east-1", Now: func() time.Time { return testNow }, ChainAliases: map[string]string{"999": "hyperevm"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	o := Options{Store: s}
	if change != nil {
		change(&o)
	}
	g, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func post(g *Ingester, contentType, encoding string, body io.Reader, strict bool) (store.Receipt, error) {
	b := Body{Reader: body, Type: contentType, Encoding: encoding, Length: -1, Strict: strict}
	if known, ok := body.(interface{ Len() int }); ok {
		b.Length = int64(known.Len())
	}
	return g.Ingest(context.Background(), b)
}

// opened is the work of an ingester on a body.
func opened(tb testing.TB, g *Ingester, contentType, body string) *work {
	tb.Helper()
	w := g.newWork()
	w.body = []byte(body)
	if err := w.open(contentType); err != nil {
		tb.Fatal(err)
	}
	return w
}

// decisionWith is a good decision with some members replaced or added.
func decisionWith(members string) string {
	return `{"chain":"base","provider_id":"p","method":"m","duration_ms":5,"result":"success"` + members + `}`
}

// TestIdentity: the same event in another spelling is the same; a field that is
// not known makes another one of it.
func TestIdentity(t *testing.T) {
	g := newIngester(t, nil)
	line := decisionWith(`,"request_id":"r1","item":{"n":1}`)
	for i, step := range []struct {
		contentType, body    string
		accepted, duplicates int
	}{
		{"application/x-ndjson", line, 1, 0},
		{"application/x-ndjson", line, 0, 1},
		{"application/json", "[\n " + strings.ReplaceAll(line, `:`, ` : `) + "\n]", 0, 1},
		{"application/x-ndjson", strings.Replace(line, `"duration_ms":5`, `"duration_ms":5.000`, 1), 0, 1},
		{"application/x-ndjson", strings.Replace(line, `"n":1`, `"n":2`, 1), 1, 0},
		{"application/x-ndjson", strings.Replace(line, `"duration_ms":5`, `"duration_ms":6`, 1), 1, 0},
		{"application/x-ndjson", decisionWith(`,"strategy":"unknown","request_id":"r1","item":{"n":1}`), 1, 0},
		{"application/x-ndjson", decisionWith("") + decisionWith(""), 2, 0},
		{"application/x-ndjson", decisionWith(`,"event_id":"e1"`) + decisionWith(`,"event_id":"e1","weight":2`), 1, 1},
		{"application/x-ndjson", decisionWith(`,"event_id":"e1","profile":"other"`), 1, 0},
		{"application/x-ndjson", decisionWith(`,"request_id":"r2","attempts":[{"provider_id":"q","duration_ms":1}]`), 1, 0},
		{"application/x-ndjson", decisionWith(`,"request_id":"r2","attempts":[{"provider_id":"q","duration_ms":1,"result":"error"}]`), 0, 1},
		{"application/x-ndjson", decisionWith(`,"request_id":"r2","attempts":[{"provider_id":"q","duration_ms":1,"result":"cancelled"}]`), 1, 0},
		{"application/x-ndjson", decisionWith(`,"request_id":"r2","attempts":[{"provider_id":"q","duration_ms":1,"result":"cancelled","reason":"hedge"}]`), 1, 0},
		{"application/x-ndjson", decisionWith(`,"request_id":"r2","attempts":[{"provider_id":"q","duration_ms":1,"reason":"sweep"}]`), 1, 0},
		{"application/x-ndjson", decisionWith(`,"request_id":"r2","attempts":[{"provider_id":"q","duration_ms":1,"reason":"slot"}]`), 1, 0},
		{"application/x-ndjson", decisionWith(`,"request_id":"r2","attempts":[{"provider_id":"q","duration_ms":1,"reason":"slot"}]`), 0, 1},
		{"application/x-ndjson", decisionWith(`,"request_id":"r2","reason":"hedge"`), 1, 0},
		{"application/x-ndjson", decisionWith(`,"request_id":"r2","reason":"retry"`), 1, 0},
		{"application/x-ndjson", decisionWith(`,"request_id":"r2","reason":"retry"`), 0, 1},
	} {
		r, err := post(g, step.contentType, "", strings.NewReader(step.body), false)
		if err != nil || r.Accepted != step.accepted || r.Duplicates != step.duplicates {
			t.Errorf("step %d: %+v, %v", i, r, err)
		}
	}
}

// TestBodies: how events are put together, and what a fault in one does to others.
func TestBodies(t *testing.T) {
	good := decisionWith("")
	long := decisionWith(`,"x":"` + strings.Repeat("a", 70_000) + `"`)
	for name, c := range map[string]struct {
		contentType, body  string
		accepted, rejected int
		lines              []int
		code               string // of the error, when the body is refused
	}{
		"empty NDJSON":          {"application/x-ndjson", "", 0, 0, nil, ""},
		"blank lines":           {"application/x-ndjson", "\n\n \n", 0, 0, nil, ""},
		"CRLF, no last newline": {"application/x-ndjson; charset=utf-8", good + "\r\n\r\n" + good, 2, 0, nil, ""},
		"no whitespace":         {"application/x-ndjson", good + good + good, 3, 0, nil, ""},
		"spaced by turns":       {"application/x-ndjson", good + "\n" + strings.ReplaceAll(good, ":", " : ") + "\n" + strings.ReplaceAll(good, ":", ": ") + "\n" + good, 4, 0, nil, ""},
		"over several lines":    {"", strings.ReplaceAll(good, ",", ",\n"), 1, 0, nil, ""},
		"curl's form type":      {"application/x-www-form-urlencoded", good + good, 2, 0, nil, ""},
		"untyped array":         {"", "[" + good + "]", 1, 0, nil, ""},
		"a damaged line":        {"application/x-ndjson", good + "\nx\n" + good, 2, 1, []int{2}, ""},
		"a cut line":            {"application/x-ndjson", good[:20] + "\n" + good, 1, 1, []int{1}, ""},
		"cut at the end":        {"application/x-ndjson", good + "\n" + good[:20], 1, 1, []int{2}, ""},
		"text behind an object": {"application/x-ndjson", good + " x\n" + good, 2, 1, []int{1}, ""},
		"a byte order mark":     {"application/x-ndjson", "\ufeff" + good + "\n" + good, 2, 0, nil, ""},
		"marks of several":      {"", "\ufeff" + good + "\n\ufeff" + good + "\ufeff", 2, 0, nil, ""},
		"a mark and an array":   {"", "\ufeff [" + good + "]", 1, 0, nil, ""},
		"a mark and JSON":       {"application/json", "\ufeff[" + good + "]", 1, 0, nil, ""},
		"a mark and lines":      {"application/json", "\ufeff" + good + "\n" + good, 2, 0, nil, ""},
		"a mark within":         {"application/x-ndjson", decisionWith(",\ufeff\"x\":1") + "\n" + good, 1, 1, []int{1}, ""},
		"half a mark":           {"application/x-ndjson", "\xef\xbb" + good + "\n" + good, 1, 1, []int{1}, ""},
		"only a mark":           {"application/x-ndjson", "\ufeff", 0, 0, nil, ""},
		"a long line":           {"application/x-ndjson", good + "\n" + long + "\n" + good, 2, 1, []int{2}, ""},
		"a long damaged line":   {"application/x-ndjson", strings.Repeat("x", 70_000) + "\n" + good, 1, 1, []int{1}, ""},
		"object":                {"application/json", " " + good + "\n", 1, 0, nil, ""},
		"array":                 {"application/json", "[" + good + " ,\n" + good + "]", 2, 0, nil, ""},
		"array of other things": {"application/json", "[1,\n" + good + ",\nnull]", 1, 2, []int{1, 3}, ""},
		"empty array":           {"application/json", "[]", 0, 0, nil, ""},
		"empty JSON":            {"application/json", "", 0, 0, nil, "malformed_body"},
		"a cut array":           {"application/json", "[" + good, 0, 0, nil, "malformed_body"},
		"a comma too many":      {"application/json", "[" + good + ",]", 0, 0, nil, "malformed_body"},
		"lines, called JSON":    {"application/json", good + "\n" + good + "\nx\n" + good, 3, 1, []int{3}, ""},
		"two objects, JSON":     {"application/json", good + good, 2, 0, nil, ""},
		"the first is damaged":  {"application/json", good[:20] + "\n" + good + "\n" + good, 2, 1, []int{1}, ""},
		"the only one is":       {"application/json", good[:20] + "\n", 0, 0, nil, "malformed_body"},
		"a damaged document":    {"application/json", "{\n  \"chain\" 7,\n  \"x\": {}\n}\n", 0, 0, nil, "malformed_body"},
		"text behind JSON":      {"application/json", good + " x", 0, 0, nil, "malformed_body"},
		"an array behind JSON":  {"application/json", good + "[]", 0, 0, nil, "malformed_body"},
		"plain text":            {"text/plain;charset=UTF-8", good + "\n" + good, 2, 0, nil, ""},
		"plain text, an array":  {"text/plain", " [" + good + "]", 1, 0, nil, ""},
		"plain text, a word":    {"text/plain", "hello", 0, 0, nil, "unsupported_media_type"},
		"bytes":                 {"application/octet-stream", good + "\nx\n" + good, 2, 1, []int{2}, ""},
		"JSON lines":            {"application/jsonl", good + "\n" + good, 2, 0, nil, ""},
		"JSON lines, an array":  {"application/jsonl", "[" + good + "," + good + "]", 2, 0, nil, ""},
		"a damaged parameter":   {"text/plain; charset", good, 1, 0, nil, ""},
		"a number":              {"application/json", "7", 0, 0, nil, "malformed_body"},
		"another type":          {"text/html", good, 0, 0, nil, "unsupported_media_type"},
		"no type and no JSON":   {"", "hello", 0, 0, nil, "unsupported_media_type"},
		"a damaged type":        {"a/b/c;", good, 0, 0, nil, "unsupported_media_type"},
	} {
		r, err := post(newIngester(t, nil), c.contentType, "", strings.NewReader(c.body), false)
		var lines []int
		for _, f := range r.Refusals {
			lines = append(lines, f.Line)
		}
		var own *Error
		if errors.As(err, &own) != (c.code != "") || own != nil && own.Code() != c.code {
			t.Errorf("%s: error %v, want %q", name, err, c.code)
		}
		if r.Accepted != c.accepted || r.Rejected != c.rejected || !cmp.Equal(lines, c.lines) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestStrict: a strict batch is counted whole or not at all.
func TestStrict(t *testing.T) {
	g := newIngester(t, nil)
	g.chunk = 2
	good := decisionWith("") + "\n"
	r, err := post(g, "application/x-ndjson", "", strings.NewReader(strings.Repeat(good, 5)+"x\n"), true)
	if err != nil || r.Accepted != 0 || r.Rejected != 1 || r.Refusals[0].Line != 6 || r.Refusals[0].Index != 5 {
		t.Errorf("%+v, %v", r, err)
	}
	if n := g.options.Store.Usage().EventsAccepted; n != 0 {
		t.Errorf("%d events were counted", n)
	}
	if r, err = post(g, "application/x-ndjson", "", strings.NewReader(strings.Repeat(good, 5)), true); err != nil || r.Accepted != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

func zipped(tb testing.TB, b []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// TestCompression: both codings, and what must not get through.
func TestCompression(t *testing.T) {
	lines := []byte(strings.Repeat(decisionWith("")+"\n", 100))
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb := zipped(t, make([]byte, 32<<20))
	for name, c := range map[string]struct {
		encoding string
		body     []byte
		accepted int
		code     string
	}{
		"gzip":             {"gzip", zipped(t, lines), 100, ""},
		"zstd":             {"zstd", enc.EncodeAll(lines, nil), 100, ""},
		"identity":         {"identity", lines, 100, ""},
		"another":          {"br", lines, 0, "unsupported_encoding"},
		"cut off":          {"gzip", zipped(t, lines)[:60], 0, "damaged_compression"},
		"not compressed":   {"gzip", lines, 0, "damaged_compression"},
		"zstd, damaged":    {"zstd", lines, 0, "damaged_compression"},
		"a bomb":           {"gzip", bomb, 0, "inflated_too_large"},
		"empty":            {"gzip", nil, 0, "damaged_compression"},
		"gzip within gzip": {"gzip", zipped(t, zipped(t, lines)), 0, ""},
	} {
		r, err := post(newIngester(t, nil), "application/x-ndjson", c.encoding, bytes.NewReader(c.body), false)
		var own *Error
		if errors.As(err, &own) != (c.code != "") || own != nil && own.Code() != c.code {
			t.Errorf("%s: error %v, want %q", name, err, c.code)
		}
		if r.Accepted != c.accepted {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestRepetitionIsNoBomb: what is taken as it is is taken compressed, however well that
// goes; the ratio binds beyond.
func TestRepetitionIsNoBomb(t *testing.T) {
	line := decisionWith(`,"error_category":"timeout"`) + "\n"
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	const maxBody = 2 << 20
	outage := []byte(strings.Repeat(line, maxBody/len(line)))
	small := newIngester(t, func(o *Options) { o.MaxBody, o.MaxInflated = maxBody, 1<<20 })
	large := newIngester(t, func(o *Options) { o.MaxBody = maxBody })
	for name, g := range map[string]*Ingester{"a smaller bound of what is inflated": small, "the usual one": large} {
		for encoding, body := range map[string][]byte{"": outage, "gzip": zipped(t, outage), "zstd": enc.EncodeAll(outage, nil)} {
			if r, err := post(g, "", encoding, bytes.NewReader(body), false); err != nil || r.Accepted != maxBody/len(line) {
				t.Errorf("%s, %q: %d bytes sent for %d: %+v, %v", name, encoding, len(body), len(outage), r, err)
			}
		}
	}
	var own *Error
	if _, err := post(large, "", "gzip", bytes.NewReader(zipped(t, append(outage, outage...))), false); !errors.As(err, &own) || own.Code() != "inflated_too_large" {
		t.Errorf("twice as much: %v", err)
	}
}

// TestStrictLines: lines that are called JSON are judged whole all the same.
func TestStrictLines(t *testing.T) {
	g := newIngester(t, nil)
	g.chunk = 2
	good := decisionWith("") + "\n"
	if r, err := post(g, "application/json", "", strings.NewReader(strings.Repeat(good, 5)+"x\n"), true); err != nil || r.Accepted != 0 || r.Rejected != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if n := g.options.Store.Usage().EventsAccepted; n != 0 {
		t.Errorf("%d events were counted", n)
	}
	if r, err := post(g, "application/json", "", strings.NewReader(strings.Repeat(good, 5)), true); err != nil || r.Accepted != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestBounds: bodies that are too large, announced or not, and too many at once.
func TestBounds(t *testing.T) {
	g := newIngester(t, func(o *Options) { o.MaxBody, o.MaxInFlight = 1000, 6000 })
	var own *Error
	if _, err := post(g, "application/x-ndjson", "", strings.NewReader(strings.Repeat("\n", 2000)), false); !errors.As(err, &own) || own.Code() != "body_too_large" {
		t.Errorf("announced: %v", err)
	}
	if _, err := post(g, "application/x-ndjson", "", io.MultiReader(strings.NewReader(strings.Repeat("\n", 2000))), false); !errors.As(err, &own) || own.Code() != "body_too_large" {
		t.Errorf("not announced: %v", err)
	}
	held, hold := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := post(g, "application/x-ndjson", "", held, false)
		done <- err
	}()
	if _, err := hold.Write([]byte("\n")); err != nil { // taken: its memory is reserved
		t.Fatal(err)
	}
	if _, err := post(g, "application/x-ndjson", "", io.MultiReader(strings.NewReader("{}")), false); !errors.As(err, &own) || own.Code() != "overloaded" || own.RetryAfter() <= 0 {
		t.Errorf("overloaded: %v", err)
	}
	if err := hold.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if now, _ := g.InFlight(); now != 0 {
		t.Errorf("%d bytes are still in flight", now)
	}
}
