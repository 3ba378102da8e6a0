package ingest

import (
	"fmt"
	"strings"
	"testing"

	"remuda/store"
	"remuda/store/cell"
)

// TestEqualItems: the items of a batch of calls are equal lines with one request_id.
// All of a body count, whatever form it has and however it is cut into chunks; a
// repeated body is found.
func TestEqualItems(t *testing.T) {
	a, b := decisionWith(`,"request_id":"r1"`), decisionWith(`,"request_id":"r2","attempts":[{"provider_id":"q","duration_ms":1}]`)
	block := `{"type":"block","chain":"b","provider_id":"p","height":7,"request_id":"r3"}`
	byID := decisionWith(`,"event_id":"e"`)
	type step struct {
		lines                string
		accepted, duplicates int
	}
	for name, steps := range map[string][]step{
		"a batch, and again":          {{"aaaaa", 5, 0}, {"aaaaa", 0, 5}, {"aaaaa", 0, 5}},
		"more than there were":        {{"aa", 2, 0}, {"aaaa", 2, 2}, {"aaaa", 0, 4}, {"a", 0, 1}},
		"others between":              {{"abaab", 5, 0}, {"bbaaa", 0, 5}, {"bbb", 1, 2}},
		"bodies of one line":          {{"a", 1, 0}, {"a", 0, 1}, {"a", 0, 1}},
		"late in a body":              {{"b", 1, 0}, {"aaab", 3, 1}, {"aaab", 0, 4}, {"baaaa", 1, 4}},
		"reports are told once":       {{"xx", 1, 1}, {"xax", 1, 2}},
		"an id is one, however often": {{"ee", 1, 1}, {"aeae", 2, 2}},
	} {
		for _, strict := range []bool{false, true} {
			for _, array := range []bool{false, true} {
				for _, chunk := range []int{1, 2, chunkEvents} {
					g := newIngester(t, nil)
					g.chunk = chunk
					counted := map[rune]int{}
					for i, s := range steps {
						body := strings.NewReplacer("a", a+"\n", "b", b+"\n", "x", block+"\n", "e", byID+"\n").Replace(s.lines)
						contentType := "application/x-ndjson"
						if array {
							body, contentType = "["+strings.ReplaceAll(strings.TrimSpace(body), "\n", ",")+"]", "application/json"
						}
						r, err := post(g, contentType, "", strings.NewReader(body), strict)
						if err != nil || r.Accepted != s.accepted || r.Duplicates != s.duplicates || r.Rejected != 0 {
							t.Errorf("%s, strict %v, array %v, chunks of %d, step %d: %+v, %v", name, strict, array, chunk, i, r, err)
						}
						for _, line := range s.lines {
							counted[line] = max(counted[line], strings.Count(s.lines, string(line)))
						}
					}
					table := g.options.Store.NewTable(store.Query{By: []store.Dim{store.ProviderDim}, Window: cell.Window1m})
					table.Refresh()
					want := map[string]int{"p": counted['a'] + counted['b'] + min(counted['e'], 1), "q": counted['b']}
					for _, row := range table.Rows() {
						if row.Calls != uint64(want[row.Key]) {
							t.Errorf("%s, chunks of %d: %d calls at %s, want %d", name, chunk, row.Calls, row.Key, want[row.Key])
						}
					}
				}
			}
		}
	}
}

// TestLongRepeats: equal lines are told apart over all chunks of a long body.
func TestLongRepeats(t *testing.T) {
	g := newIngester(t, nil)
	var body strings.Builder
	const n = 80_000
	for i := range n {
		fmt.Fprintf(&body, `{"chain":"b","provider_id":"p","method":"m","duration_ms":1,"result":"success","request_id":"%d"}`, i%1000)
	}
	if r, err := post(g, "", "", strings.NewReader(body.String()), false); err != nil || r.Accepted != n {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err := post(g, "", "", strings.NewReader(body.String()), false); err != nil || r.Duplicates != n {
		t.Fatalf("again: %+v, %v", r, err)
	}
}

// TestEventIDScope: an event_id is unique among what one sender sends to one profile
// of one type.
func TestEventIDScope(t *testing.T) {
	g := newIngester(t, nil)
	circuit := `{"type":"circuit","chain":"base","provider_id":"p","to":"open","event_id":"1"`
	for i, step := range []struct {
		line string
		want int
	}{
		{decisionWith(`,"event_id":"1"`), 1},
		{decisionWith(`,"event_id":"1","weight":2`), 0},
		{decisionWith(`,"event_id":"1","profile":"default"`), 0}, // the profile is the same, said or not
		{decisionWith(`,"event_id":"1","profile":"other"`), 1},
		{decisionWith(`,"event_id":"1","source_node":"gw-1"`), 1},
		{decisionWith(`,"event_id":"1","source_node_id":"gw-1","weight":3`), 0},
		{decisionWith(`,"event_id":"1","source_node":"gw-2"`), 1},
		{decisionWith(`,"event_id":"1","source_node":"n1"`), 1}, // as sent: the node's own name is not none
		{circuit + `}`, 1},
		{circuit + `,"source_node":"gw-1"}`, 1},
		{circuit + `,"source_node":"gw-1","reason":"x"}`, 0},
		{`{"type":"block","chain":"base","provider_id":"p","height":1,"event_id":"1"}`, 1},
		{`{"type":"health","chain":"base","provider_id":"p","status":"healthy","event_id":"1"}`, 1},
	} {
		r, err := post(g, "", "", strings.NewReader(step.line), false)
		if err != nil || r.Accepted != step.want || r.Accepted+r.Duplicates != 1 {
			t.Errorf("step %d: %+v, %v", i, r, err)
		}
	}
}

// TestFinerInstants: equal events of instants that differ below the millisecond are
// different events; one instant, however it is spelled, is one.
func TestFinerInstants(t *testing.T) {
	g := newIngester(t, nil)
	for i, step := range []struct {
		ts       string
		accepted int
	}{
		{`"2027-01-15T08:00:00.0001Z"`, 1},
		{`"2027-01-15T08:00:00.0002Z"`, 1},
		{`"2027-01-15T09:00:00.0002+01:00"`, 0},
		{`"2027-01-15T08:00:00Z"`, 1},
		{`1800000000000`, 0},
		{`1800000000001`, 1},
	} {
		r, err := post(g, "", "", strings.NewReader(decisionWith(`,"request_id":"r","ts":`+step.ts)), false)
		if err != nil || r.Accepted != step.accepted {
			t.Errorf("step %d: %+v, %v", i, r, err)
		}
	}
}
