package ingest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"remuda/store"
)

// TestStringsOfAChunk: what an event keeps outlives the refusals behind it in the
// same chunk.
func TestStringsOfAChunk(t *testing.T) {
	escaped := strings.Replace(decisionWith(`,"request_id":"r"`), `"provider_id":"p"`, `"provider_id":"\u0061bc"`, 1)
	bad := decisionWith(`,"duration_ms":1,"strategy":"\u007a\u007a\u007a\u007a","attempts":[{"provider_id":"\u0071","duration_ms":1}]`)
	for name, between := range map[string]string{"another type": "[7]", "a refused event": bad, "text": `"\u0078\u0078\u0078\u0078"`} {
		g := newIngester(t, nil)
		body := "[" + escaped + "," + between + "," + between + "]"
		r, err := post(g, "application/json", "", strings.NewReader(body), false)
		if err != nil || r.Accepted != 1 || r.Rejected != 2 {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		w := opened(t, g, "application/json", body)
		if err := w.pass(testNow.UnixMilli()); err != nil {
			t.Fatal(err)
		}
		if got := w.events[0].ProviderID; got != "abc" {
			t.Errorf("%s: provider %q", name, got)
		}
	}
}

// TestRegionsOfChunks: the region of a sender is its own, also when its name takes the
// place in memory that another one's had in the chunk before.
func TestRegionsOfChunks(t *testing.T) {
	g := newIngester(t, nil)
	g.chunk = 2
	line := func(place string, n int) string {
		return decisionWith(fmt.Sprintf(`,"source_node_id":"%s\u002d080713ea67e778","request_id":"%d"`, place, n)) + "\n"
	}
	w := opened(t, g, "application/x-ndjson", "")
	for range 2 { // with memory that is there already
		w.body = []byte(line("Sjc", 1) + line("Sjc", 2) + line("Fra", 3) + line("Fra", 4))
		if err := w.pass(testNow.UnixMilli()); err != nil {
			t.Fatal(err)
		}
		for _, e := range w.events {
			if e.SourceRegion != "fra" {
				t.Errorf("the region of %s is %s", e.SourceNode, e.SourceRegion)
			}
		}
	}
}

// TestRefusalsAreInOrder: also when the store refuses an event that stands before
// one that the decoder has refused, and when only the first are listed.
func TestRefusalsAreInOrder(t *testing.T) {
	g := newIngester(t, nil)
	var full strings.Builder // of profiles
	for i := range 1000 {
		full.WriteString(decisionWith(fmt.Sprintf(`,"profile":"p%d"`, i)))
	}
	if r, err := post(g, "", "", strings.NewReader(full.String()), false); err != nil || r.Accepted != 1000 {
		t.Fatalf("%+v, %v", r, err)
	}
	body := decisionWith(`,"profile":"one-more"`) + "\n" + strings.Repeat("{}\n", store.MaxListedRefusals)
	r, err := post(g, "", "", strings.NewReader(body), false)
	if err != nil || len(r.Refusals) != store.MaxListedRefusals || r.Refusals[0].Code != "too_many_series" {
		t.Fatalf("%+v, %v", r, err)
	}
	if !slices.IsSortedFunc(r.Refusals, func(a, b store.Refusal) int { return a.Index - b.Index }) {
		t.Errorf("refusals out of order: %+v", r.Refusals)
	}
}

// TestOneNow: a strict body is judged and applied at one time. An event that
// comes to be too old between the two would be counted in part.
func TestOneNow(t *testing.T) {
	now := testNow
	s, err := store.New(store.Options{Node: "n1", Now: func() time.Time { now = now.Add(time.Millisecond); return now }})
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	g.chunk = 1
	for ahead := int64(0); ahead < 12; ahead++ {
		ts := now.UnixMilli() - time.Hour.Milliseconds() + ahead
		body := decisionWith(fmt.Sprintf(`,"ts":%d`, ts)) + "\n" + decisionWith("")
		r, err := post(g, "", "", strings.NewReader(body), true)
		if err != nil || r.Accepted != 2 && (r.Accepted != 0 || r.Rejected != 1) {
			t.Errorf("%d ms: %+v, %v", ahead, r, err)
		}
	}
}
