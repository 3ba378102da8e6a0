package ingest

import (
	"bytes"
	"testing"

	"remuda/store"
)

// FuzzBody gives both forms any bytes. Nothing panics, the accounts add up, and a
// body judged twice is judged alike.
func FuzzBody(f *testing.F) {
	for _, text := range []string{
		decisionWith(""), decisionWith(`,"x":[1,{"a":null},"\u00e9\ud83d\ude00"]`), `{"type":"block","chain":"b","provider_id":"p","height":7}`,
		decisionWith(`,"attempts":[{"provider_id":"q","duration_ms":7.25}]`),
		decisionWith(`,"reason":"hedge","attempts":[{"provider_id":"q","duration_ms":7.25,"result":"cancelled","reason":"sweep"}]`), `{`, `[]`, "{}{}\n{}", "[" + decisionWith("") + ",7]",
		decisionWith("") + "\n" + decisionWith("") + "\n" + decisionWith(`,"weight":3`), "\ufeff{}\n\ufeff{", decisionWith("")[1:] + "\n{}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		g := newIngester(t, nil)
		for _, contentType := range []string{"application/x-ndjson", "application/json", "text/plain"} {
			r, err := post(g, contentType, "", bytes.NewReader(body), false)
			if err != nil {
				continue
			}
			again, err := post(g, contentType, "", bytes.NewReader(body), false)
			if err != nil || again.Rejected != r.Rejected || again.Accepted+again.Duplicates != r.Accepted+r.Duplicates {
				t.Fatalf("%+v, then %+v, %v", r, again, err)
			}
			if len(r.Refusals) != min(r.Rejected, store.MaxListedRefusals) {
				t.Fatalf("%d refusals listed of %d", len(r.Refusals), r.Rejected)
			}
		}
	})
}
