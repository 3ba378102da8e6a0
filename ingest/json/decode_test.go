package json

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remuda/ingest/judge"
	"remuda/store"
	"remuda/store/cell"
)

var testNow = time.UnixMilli(1_800_000_000_000)

// newDecoder returns a decoder for the events of a node, now.
func newDecoder(tb testing.TB) *Decoder {
	tb.Helper()
	s, err := store.New(store.Options{ChainAliases: map[string]string{"999": "hyperevm"}})
	if err != nil {
		tb.Fatal(err)
	}
	return New(judge.Setting{Node: "n1", Region: "us-east-1", Chains: s.Chains()})
}

// decodeOne reads one event and returns it, or the fault.
func decodeOne(tb testing.TB, text string) (store.Event, judge.Fault) {
	tb.Helper()
	d := newDecoder(tb)
	var e store.Event
	if err := d.Begin("application/x-ndjson", []byte(text), testNow.UnixMilli()); err != nil {
		tb.Fatal(err)
	}
	if _, err := d.Next(&e); err != nil {
		tb.Fatal(err)
	}
	f, _ := d.Verdict()
	return e, f
}

// decisionWith is a good decision with some members replaced or added.
func decisionWith(members string) string {
	return `{"chain":"base","provider_id":"p","method":"m","duration_ms":5,"result":"success"` + members + `}`
}

// chainSpelled is a good decision whose chain is given in another way.
func chainSpelled(member string) string {
	return strings.Replace(decisionWith(""), `"chain":"base"`, member, 1)
}

// TestSpellingsOfChains: a number is one chain, however it is spelled and whichever
// name it goes by.
func TestSpellingsOfChains(t *testing.T) {
	for want, spellings := range map[string][]string{
		"base": {
			`8453`, `8453.0`, `"8453"`, `"0x2105"`, `"0X2105"`, `"0x002105"`, `"eip155:8453"`, `"evm:8453"`, `"eip155:0x2105"`, `"08453"`,
			`"8453"`,
		},
		"arbitrum":         {`42161`, `"0xa4b1"`, `"0xA4B1"`, `"evm:42161"`},
		"ethereum":         {`1`, `"1"`, `"0x1"`, `"eip155:1"`},
		"ethereum-sepolia": {`11155111`, `"0xaa36a7"`},
		"hyperevm":         {`999`, `"0x3e7"`, `"evm:999"`}, // an alias
		"123456":           {`123456`, `"123456"`, `"0x1e240"`, `"eip155:123456"`, `"evm:123456"`},
		"9007199254740992": {`9007199254740992`, `"0x20000000000000"`},
	} {
		for _, s := range spellings {
			for _, name := range []string{"chain", "chain_id"} {
				if e, f := decodeOne(t, chainSpelled(`"`+name+`":`+s)); e.Chain != want || f.Code != "" {
					t.Errorf("%s %s: %q, want %q (%s)", name, s, e.Chain, want, f.Detail)
				}
			}
		}
	}
	for _, name := range []string{"ethereum_mainnet", "eth", "evm", "evm:", "eip155:", "eip155:x", "0x", "0xyz", "1inch", "EVM:1", "evm:eip155:1", "18446744073709551616"} {
		if e, f := decodeOne(t, chainSpelled(`"chain":"`+name+`"`)); e.Chain != name || f.Code != "" {
			t.Errorf("the name %s: %q (%s)", name, e.Chain, f.Detail)
		}
	}
}

// TestRefusals has one event for every code, and for every way to spell it wrong
// that is worth a line.
func TestRefusals(t *testing.T) {
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for _, c := range []struct{ text, field, code string }{
		{`{`, "", "malformed"},
		{`{"chain":"b"`, "", "malformed"},
		{`{"chain":"b",}`, "", "malformed"},
		{`{chain:"b"}`, "", "malformed"},
		{`{"chain" "b"}`, "", "malformed"},
		{`{"chain":"b" "x":1}`, "", "malformed"},
		{decisionWith(`,"x":01`), "", "malformed"},
		{decisionWith(`,"x":1.`), "", "malformed"},
		{decisionWith(`,"x":.5`), "", "malformed"},
		{decisionWith(`,"x":1e`), "", "malformed"},
		{decisionWith(`,"x":+1`), "", "malformed"},
		{decisionWith(`,"x":NaN`), "", "malformed"},
		{decisionWith(`,"x":nul`), "", "malformed"},
		{decisionWith(`,"x":"\q"`), "", "malformed"},
		{decisionWith(`,"x":"\ud800"`), "", "malformed"},
		{decisionWith(`,"x":"\ud800\u0041"`), "", "malformed"},
		{decisionWith(`,"x":"\udc00"`), "", "malformed"},
		{decisionWith(",\"x\":\"\xff\""), "", "malformed"},
		{decisionWith(",\"x\":\"a\nb\""), "", "malformed"},
		{decisionWith(",\"x\":\"a\x00b\""), "", "malformed"},
		{decisionWith(`,"x":` + deep), "", "malformed"},
		{decisionWith(`,"x":[[[[[[[[1]]]]]]]]`), "", "malformed"},
		{decisionWith(`,"x":[1,]`), "", "malformed"},
		{decisionWith(`,"x":{"a":1,}`), "", "malformed"},
		{decisionWith(`,"x":{1:2}`), "", "malformed"},

		{`{"provider_id":"p","method":"m","duration_ms":5,"result":"success"}`, "chain", "missing"},
		{`{"chain":null,"provider_id":"p","method":"m","duration_ms":5,"result":"success"}`, "chain", "missing"},
		{`{}`, "chain", "missing"},
		{`{"type":"circuit","chain":"b","provider_id":"p"}`, "to", "missing"},
		{`{"type":"block","chain":"b","provider_id":"p"}`, "height", "missing"},
		{`{"type":"health","chain":"b","provider_id":"p"}`, "status", "missing"},
		{decisionWith(`,"attempts":[{"duration_ms":1}]`), "attempts[0].provider_id", "missing"},
		{decisionWith(`,"attempts":[{"provider_id":"x","duration_ms":1},{"provider_id":"y"}]`), "attempts[1].duration_ms", "missing"},

		{decisionWith(`,"strategy":7`), "strategy", "wrong_type"},
		{decisionWith(`,"ts":"now"`), "ts", "wrong_type"},
		{decisionWith(`,"ts":1.5`), "ts", "wrong_type"},
		{decisionWith(`,"attempts":{}`), "attempts", "wrong_type"},
		{decisionWith(`,"attempts":[7]`), "attempts[0]", "wrong_type"},
		{decisionWith(`,"weight":true`), "weight", "wrong_type"},
		{decisionWith(`,"upstream_ms":"5"`), "upstream_ms", "wrong_type"},

		{decisionWith(`,"profile":""`), "profile", "empty"},
		{decisionWith(`,"profile":"` + strings.Repeat("a", 129) + `"`), "profile", "too_long"},
		{decisionWith(`,"request_id":"` + strings.Repeat("a", 513) + `"`), "request_id", "too_long"},
		{decisionWith(`,"profile":"a b"`), "profile", "bad_character"},
		{decisionWith(`,"profile":"<script>"`), "profile", "bad_character"},
		{decisionWith(`,"profile":"__x"`), "profile", "bad_character"},
		{decisionWith(",\"profile\":\"a\u200fb\""), "profile", "bad_character"},
		{decisionWith(`,"profile":"a/b"`), "profile", "bad_character"},
		{decisionWith(`,"request_id":"a\nb"`), "request_id", "bad_character"},
		{decisionWith(`,"request_id":"a\u0000b"`), "request_id", "bad_character"},

		{decisionWith(`,"upstream_ms":-1`), "upstream_ms", "negative"},
		{decisionWith(`,"weight":-1`), "weight", "negative"},
		{decisionWith(`,"upstream_ms":1e999`), "upstream_ms", "not_finite"},
		{decisionWith(`,"upstream_ms":86400001`), "upstream_ms", "out_of_range"},
		{decisionWith(`,"weight":0`), "weight", "out_of_range"},
		{decisionWith(`,"weight":1000001`), "weight", "out_of_range"},
		{decisionWith(`,"ts":9007199254740993`), "ts", "wrong_unit"},
		{`{"type":"block","chain":"b","provider_id":"p","height":9007199254740993}`, "height", "out_of_range"},
		{decisionWith(`,"attempts":[` + strings.TrimSuffix(strings.Repeat(`{"provider_id":"x","duration_ms":1},`, 17), ",") + `]`), "attempts", "out_of_range"},

		{decisionWith(`,"chain":"c"`), "chain", "duplicate_name"},
		{decisionWith(`,"CHAIN":"c"`), "chain", "duplicate_name"},
		{`{"Chain":"x",` + decisionWith("")[1:], "chain", "duplicate_name"},
		{decisionWith(`,"chain_id":1`), "chain", "duplicate_name"},
		{chainSpelled(`"chain_id":"base"`), "chain", "unknown_value"},
		{chainSpelled(`"chain_id":"ETH1"`), "chain", "unknown_value"},
		{chainSpelled(`"chain_id":"0xzz"`), "chain", "unknown_value"},
		{chainSpelled(`"chain_id":"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"`), "chain", "unknown_value"},
		{chainSpelled(`"chain_id":"9007199254740993"`), "chain", "unknown_value"},
		{chainSpelled(`"chain_id":""`), "chain", "empty"},
		{chainSpelled(`"chain_id":9007199254740993`), "chain", "out_of_range"},
		{chainSpelled(`"chain_id":-1`), "chain", "negative"},
		{chainSpelled(`"chain_id":1.5`), "chain", "wrong_type"},
		{chainSpelled(`"chain_id":true`), "chain", "wrong_type"},
		{chainSpelled(`"chain":-1`), "chain", "negative"},
		{chainSpelled(`"chain":"eip155/8453"`), "chain", "bad_character"},
		{decisionWith(`,"x":1,"X":2`), "X", "duplicate_name"},
		{decisionWith(`,"\u0063hain":"c"`), "chain", "duplicate_name"},

		{`{"chain":"b","provider_id":"p","method":"m","duration_ms":5,"result":"maybe"}`, "result", "unknown_value"},
		{decisionWith(`,"transport":"carrier_pigeon"`), "transport", "unknown_value"},
		{decisionWith(`,"request_origin":"me"`), "request_origin", "unknown_value"},
		{decisionWith(`,"attempts":[{"provider_id":"x","duration_ms":1,"result":"failed"}]`), "attempts[0].result", "unknown_value"},
		{decisionWith(`,"attempts":[{"provider_id":"x","duration_ms":1,"reason":7}]`), "attempts[0].reason", "wrong_type"},
		{strings.Replace(decisionWith(""), `"success"`, `"not_sent"`, 1), "result", "unknown_value"},
		{decisionWith(`,"reason":7`), "reason", "wrong_type"},
		{`{"type":"circuit","chain":"b","provider_id":"p","to":"ajar"}`, "to", "unknown_value"},
		{`{"type":"weather"}`, "type", "unknown_type"},
		{decisionWith(`,"ts":1`), "ts", "too_old"},
		{decisionWith(fmt.Sprintf(`,"ts":%d`, testNow.UnixMilli()-3_600_001)), "ts", "too_old"},
	} {
		_, f := decodeOne(t, c.text)
		if f.Code != c.code || f.Name() != c.field {
			t.Errorf("%.120s: %s of %q, want %s of %q (%s)", c.text, f.Code, f.Name(), c.code, c.field, f.Detail)
		}
	}
}

// TestDecoded compares what is read, defaults included.
func TestDecoded(t *testing.T) {
	now := testNow.UnixMilli()
	base := store.Event{
		Sent: store.FieldChain | store.FieldProviderID | store.FieldMethod | store.FieldDuration | store.FieldResult,
		TS:   now, Profile: "default", Chain: "base", ProviderID: "p", Method: "m", Strategy: "unknown", SourceNode: "n1",
		SourceRegion: "us-east-1", Weight: 1, DurationMicros: 5000, UpstreamMicros: 5000,
	}
	with := func(change func(*store.Event)) store.Event {
		e := base
		change(&e)
		return e
	}
	for text, want := range map[string]store.Event{
		decisionWith(""):                   base,
		" \n" + decisionWith("") + "":      base,
		decisionWith(`,"strategy":null`):   base,
		decisionWith(`,"upstream_ms":4.1`): with(func(e *store.Event) { e.Sent |= store.FieldUpstream; e.UpstreamMicros = 4100 }),
		decisionWith(`,"upstream_ms":-0`):  with(func(e *store.Event) { e.Sent |= store.FieldUpstream; e.UpstreamMicros = 0 }),
		decisionWith(`,"upstream_ms":0.0005`): with(func(e *store.Event) {
			e.Sent |= store.FieldUpstream
			e.UpstreamMicros = 1
		}),
		decisionWith(`,"upstream_ms":1e1`):   with(func(e *store.Event) { e.Sent |= store.FieldUpstream; e.UpstreamMicros = 10_000 }),
		decisionWith(`,"weight":2e1`):        with(func(e *store.Event) { e.Sent |= store.FieldWeight; e.Weight = 20 }),
		decisionWith(`,"error_code":-32000`): with(func(e *store.Event) { e.Sent |= store.FieldErrorCode; e.ErrorCode = "-32000" }),
		decisionWith(`,"strategy":"f\u0061stest"`): with(func(e *store.Event) {
			e.Sent |= store.FieldStrategy
			e.Strategy = "fastest"
		}),
		decisionWith(fmt.Sprintf(`,"ts":%d`, now-1000)): with(func(e *store.Event) {
			e.Sent |= store.FieldTS
			e.TS, e.SentTS = now-1000, now-1000
		}),
		decisionWith(fmt.Sprintf(`,"ts":%d`, now+60_000)): with(func(e *store.Event) {
			e.Sent |= store.FieldTS
			e.SentTS = now + 60_000
		}),
		decisionWith(`,"source_node_id":"Sjc-080713ea67e778"`): with(func(e *store.Event) {
			e.Sent |= store.FieldSourceNode
			e.SourceNode, e.SourceRegion = "Sjc-080713ea67e778", "sjc"
		}),
		decisionWith(`,"source_node_id":"iad"`): with(func(e *store.Event) {
			e.Sent |= store.FieldSourceNode
			e.SourceNode, e.SourceRegion = "iad", "iad"
		}),
		decisionWith(`,"transport":"ws","attempts":[{"provider_id":"q","duration_ms":7.25,"error_category":"timeout"}]`): with(func(e *store.Event) {
			e.Sent |= store.FieldTransport | store.FieldAttempts
			e.Transport, e.FailoverCount = store.WS, 1
			e.Attempts = []store.Attempt{{ProviderID: "q", ErrorCategory: "timeout", DurationMicros: 7250, Transport: store.WS, Result: cell.Failure}}
		}),
		// Of the tries only the third made way for another: the first lost, the second was never
		// made, the last are beside others.
		decisionWith(`,"attempts":[{"provider_id":"a","duration_ms":9,"result":"cancelled","reason":"primary"},` +
			`{"provider_id":"b","duration_ms":0,"result":"not_sent","reason":"retry"},{"provider_id":"c","duration_ms":8,"reason":null},` +
			`{"provider_id":"d","duration_ms":7,"result":"error","reason":"hedge"},{"provider_id":"e","duration_ms":6,"result":"success","reason":"consensus"}],"reason":"hedge"`): with(func(e *store.Event) {
			e.Sent |= store.FieldAttempts | store.FieldReason
			e.FailoverCount, e.Reason, e.CallReason = 1, "hedge", store.ReasonHedge
			e.Attempts = []store.Attempt{
				{ProviderID: "a", DurationMicros: 9000, Result: cell.Cancelled, Reason: store.ReasonPrimary},
				{ProviderID: "b", Result: cell.NotSent, Reason: store.ReasonRetry},
				{ProviderID: "c", DurationMicros: 8000, Result: cell.Failure},
				{ProviderID: "d", DurationMicros: 7000, Result: cell.Failure, Reason: store.ReasonHedge},
				{ProviderID: "e", DurationMicros: 6000, Reason: store.ReasonConsensus},
			}
		}),
		decisionWith(`,"reason":"sweep"`): with(func(e *store.Event) {
			e.Sent |= store.FieldReason
			e.Reason, e.CallReason = "sweep", store.ReasonOther
		}),
		strings.Replace(decisionWith(""), `"success"`, `"cancelled"`, 1):            with(func(e *store.Event) { e.Result = cell.Cancelled }),
		strings.Replace(decisionWith(""), `"success"`, `"cancelled"`, 1):            with(func(e *store.Event) { e.Result = cell.Cancelled }),
		strings.Replace(decisionWith(""), `"chain":"base"`, `"chain_id":8453`, 1):   base,
		strings.Replace(decisionWith(""), `"chain":"base"`, `"chain_id":"8453"`, 1): base,
		strings.Replace(decisionWith(""), `"chain":"base"`, `"chain_id":999`, 1):    with(func(e *store.Event) { e.Chain = "hyperevm" }),
		strings.Replace(decisionWith(""), `"chain":"base"`, `"chain_id":777`, 1):    with(func(e *store.Event) { e.Chain = "777" }),
		`{"type":"circuit","chain":"base","provider_id":"p","previous_state":"closed","new_state":"half_open"}`: {
			Kind: store.Circuit, Sent: store.FieldType | store.FieldChain | store.FieldProviderID | store.FieldFrom | store.FieldTo,
			TS: now, Profile: "default", Chain: "base", ProviderID: "p", SourceNode: "n1", SourceRegion: "us-east-1", Weight: 1,
			From: store.CircuitClosed, To: store.CircuitHalfOpen,
		},
		`{"type":"block","chain":"base","provider_id":"p","block_number":19123456,"source":"ws","result":"ignored here"}`: {
			Kind: store.Block, TS: now, Profile: "default", Chain: "base", ProviderID: "p", SourceNode: "n1", SourceRegion: "us-east-1",
			Sent:   store.FieldType | store.FieldChain | store.FieldProviderID | store.FieldHeight | store.FieldSource | store.FieldResult,
			Weight: 1, Height: 19_123_456, HeightSource: store.HeightFromWS,
		},
	} {
		got, f := decodeOne(t, strings.TrimSpace(text))
		if f.Code != "" {
			t.Errorf("%s: %+v", text, f)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
}

// TestNumbersAreExact: the spelling of a number does not change it, even where a
// float64 would.
func TestNumbersAreExact(t *testing.T) {
	for text, want := range map[string]uint64{
		"1.0005": 1001, "1.00049999999999999999999": 1000, "10005e-4": 1001, "0.10005e1": 1001, "1000.5e-3": 1001, "0e99999": 0,
		"8640000000e-2": 86_400_000_000, "0.00050000000000000000000000000001": 1,
	} {
		if e, f := decodeOne(t, decisionWith(`,"upstream_ms":`+text)); f.Code != "" || e.UpstreamMicros != want {
			t.Errorf("%s ms: %d µs, want %d (%s)", text, e.UpstreamMicros, want, f.Code)
		}
	}
	for text, code := range map[string]string{"9007199254740992": "", "9007199254740993": "out_of_range", "9007199254740992.5": "wrong_type", "9007199254740993e0": "out_of_range", "90071992547409920e-1": ""} {
		if _, f := decodeOne(t, `{"type":"block","chain":"b","provider_id":"p","height":`+text+`}`); f.Code != code {
			t.Errorf("height %s: %q, want %q", text, f.Code, code)
		}
	}
}

// TestShapes is the example at [Decoder]: how many values of an event are read, and how
// many members the shape has that it is a variation of.
func TestShapes(t *testing.T) {
	d := newDecoder(t)
	body := `{"chain":"base","provider_id":"p1","method":"m","duration_ms":5,"result":"success"}
{"chain":"base","provider_id":"p2","method":"m","duration_ms":17,"result":"success"}
{"chain":"base","provider_id":"p2","method":"m","duration_ms":9,"result":"error"}
{"chain":"base","provider_id":"p1","method":"m","duration_ms":8,"result":"error","weight":2}
{"chain":"base","provider_id":"p1","method":"m","duration_ms":6,"result":"success"}`
	if err := d.Begin("application/x-ndjson", []byte(body), testNow.UnixMilli()); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		anew            bool
		changing, known int
	}{{true, 3, 5}, {false, 3, 5}, {false, 4, 5}, {true, 3, 6}, {false, 4, 5}} {
		var e store.Event
		if _, err := d.Next(&e); err != nil {
			t.Fatal(err)
		}
		anew := d.anewed
		if anew {
			d.keep()
		}
		if s := d.shape; anew != want.anew || len(s.blocks) != want.changing || s.n != want.known {
			t.Errorf("line %d: anew %v, %d values of %d, want %+v", i+1, anew, len(s.blocks), s.n, want)
		}
	}
}
