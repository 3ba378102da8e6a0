package ingest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remuda/store"
)

func seeds(f *testing.F) {
	for _, text := range []string{
		decisionWith(""), decisionWith(`,"x":[1,{"a":null},"\u00e9\ud83d\ude00"]`), decisionWith(`,"ts":1799999999999`),
		decisionWith(`,"attempts":[{"provider_id":"q","duration_ms":7.25}]`), `{"type":"block","chain":"b","provider_id":"p","height":7}`,
		`{"type":"health","chain":"b","provider_id":"p","status":"degraded","latency_ms":1.5}`,
		strings.Replace(decisionWith(`,"ts":"2027-01-15T07:59:59.5Z"`), `"base"`, `"eip155:8453"`, 1), strings.Replace(decisionWith(""), `"chain":"base"`, `"chain_id":"0x2105"`, 1), `{`, `[]`, "{}{}\n{}",
		decisionWith("") + "\n" + decisionWith("") + "\n" + decisionWith(`,"weight":3`), "\ufeff{}\n\ufeff{", decisionWith("")[1:] + "\n{}",
	} {
		f.Add([]byte(text))
	}
}

// FuzzDecode compares the scanner with encoding/json: what that refuses is
// refused here too, and what is taken here has the same values there.
func FuzzDecode(f *testing.F) {
	seeds(f)
	g := newIngester(f, nil)
	f.Fuzz(func(t *testing.T, text []byte) {
		w := g.newWork()
		w.reset(text, testNow.UnixMilli())
		if len(text) == 0 || text[0] != '{' {
			return
		}
		var e store.Event
		end := w.object(&e, 0)
		if end < 0 {
			return // stricter than encoding/json in depth and surrogates; TestRefusals has the rest
		}
		if fault, _ := w.finish(); fault.code != "" {
			if !json.Valid(text[:end]) {
				t.Fatalf("read %q, which is not JSON", text[:end])
			}
			return
		}
		var want struct {
			Chain       *string          `json:"chain"`
			ChainID     json.RawMessage  `json:"chain_id"`
			ProviderID  string           `json:"provider_id"`
			Method      string           `json:"method"`
			RequestID   string           `json:"request_id"`
			DurationMS  *float64         `json:"duration_ms"`
			FailoverN   *json.Number     `json:"failover_count"`
			Attempts    []map[string]any `json:"attempts"`
			TS          *float64         `json:"ts"`
			HeightField *float64         `json:"height"`
		}
		if !json.Valid(text[:end]) {
			t.Fatalf("read %q, which is not JSON", text[:end])
		}
		if json.Unmarshal(text[:end], &want) != nil {
			return // a field that this kind of event does not read
		}
		if e.Kind != store.Decision {
			return
		}
		if want.Chain != nil && len(want.ChainID) == 0 && g.options.Store.Chains().Called(*want.Chain) != e.Chain || want.ProviderID != e.ProviderID || want.Method != e.Method || want.RequestID != e.RequestID {
			t.Fatalf("%q: got %+v, want %+v", text[:end], e, want)
		}
		if want.DurationMS != nil {
			if diff := *want.DurationMS*1000 - float64(e.DurationMicros); diff > 0.51 || diff < -0.51 {
				t.Fatalf("%q: %d µs for %v ms", text[:end], e.DurationMicros, *want.DurationMS)
			}
		}
		if len(want.Attempts) != len(e.Attempts) {
			t.Fatalf("%q: %d attempts, want %d", text[:end], len(e.Attempts), len(want.Attempts))
		}
	})
}

// FuzzVariation decodes a body with and without comparing an event with the one
// before it: the result must be the same.
func FuzzVariation(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<16 {
			return
		}
		g := newIngester(t, nil)
		run := func(unaided bool) (events []store.Event, receipt store.Receipt) {
			w := g.newWork()
			w.unaided = unaided
			w.events = make([]store.Event, 0, 1<<14)
			w.body = body
			w.reset(body, testNow.UnixMilli())
			w.lineNo = 1
			w.lines(0)
			return w.events, w.receipt
		}
		got, gotReceipt := run(false)
		want, wantReceipt := run(true)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(wantReceipt, gotReceipt); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzBody gives both forms any bytes. Nothing panics, the accounts add up, and a
// body judged twice is judged alike.
func FuzzBody(f *testing.F) {
	seeds(f)
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
