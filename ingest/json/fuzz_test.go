package json

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remuda/ingest/judge"
	"remuda/store"
)

func seeds(f *testing.F) {
	for _, text := range []string{
		decisionWith(""), decisionWith(`,"x":[1,{"a":null},"\u00e9\ud83d\ude00"]`), decisionWith(`,"ts":1799999999999`),
		decisionWith(`,"attempts":[{"provider_id":"q","duration_ms":7.25}]`),
		decisionWith(`,"reason":"hedge","attempts":[{"provider_id":"q","duration_ms":7.25,"result":"cancelled","reason":"sw\u0065ep"}]`),
		decisionWith(`,"attempts":[{"provider_id":"q","duration_ms":0,"result":"not_sent","reason":"retry"}]`), `{"type":"block","chain":"b","provider_id":"p","height":7}`,
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
	d := newDecoder(f)
	aliases, err := store.New(store.Options{ChainAliases: map[string]string{"999": "hyperevm"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) == 0 || text[0] != '{' {
			return
		}
		var e store.Event
		if d.Begin("application/x-ndjson", text, testNow.UnixMilli()) != nil || next(d, &e) != nil {
			t.Fatalf("%q is not read as a line", text)
		}
		fault, _ := d.Verdict()
		end := d.Size
		if fault.Code == "malformed" {
			return // stricter than encoding/json in depth and surrogates; TestRefusals has the rest
		}
		if fault.Code != "" {
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
		if want.Chain != nil && len(want.ChainID) == 0 && aliases.Chains().Called(*want.Chain) != e.Chain || want.ProviderID != e.ProviderID || want.Method != e.Method || want.RequestID != e.RequestID {
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
	aided, unaided := newDecoder(f), newDecoder(f)
	unaided.unaided = true
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<16 {
			return
		}
		type read struct {
			event        store.Event
			fault        judge.Fault
			offset, size int
		}
		run := func(d *Decoder) (list []read) {
			if err := d.Begin("application/x-ndjson", body, testNow.UnixMilli()); err != nil {
				t.Fatal(err)
			}
			events := make([]store.Event, bytes.Count(body, []byte{'{'})+1)
			for i := 0; next(d, &events[i]) == nil; {
				r := read{offset: d.Offset, size: d.Size}
				if r.fault, _ = d.Verdict(); r.fault.Code != "" {
					d.Refuse()
				} else {
					r.event = events[i]
					i++
				}
				list = append(list, r)
			}
			return list
		}
		if diff := cmp.Diff(run(unaided), run(aided), cmp.AllowUnexported(read{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func next(d *Decoder, e *store.Event) error {
	_, err := d.Next(e)
	return err
}
