package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
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

// decodeOne reads one event and returns it, or the fault.
func decodeOne(tb testing.TB, text string) (store.Event, fault) {
	tb.Helper()
	w := newIngester(tb, nil).newWork()
	w.reset([]byte(text), testNow.UnixMilli())
	var e store.Event
	if w.object(&e, 0) < 0 {
		return e, fault{field: fieldWhole, code: "malformed", detail: w.problem}
	}
	f, _ := w.finish()
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
				if e, f := decodeOne(t, chainSpelled(`"`+name+`":`+s)); e.Chain != want || f.code != "" {
					t.Errorf("%s %s: %q, want %q (%s)", name, s, e.Chain, want, f.detail)
				}
			}
		}
	}
	for _, name := range []string{"ethereum_mainnet", "eth", "evm", "evm:", "eip155:", "eip155:x", "0x", "0xyz", "1inch", "EVM:1", "evm:eip155:1", "18446744073709551616"} {
		if e, f := decodeOne(t, chainSpelled(`"chain":"`+name+`"`)); e.Chain != name || f.code != "" {
			t.Errorf("the name %s: %q (%s)", name, e.Chain, f.detail)
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
		{decisionWith(`,"attempts":[{"provider_id":"x","duration_ms":1,"result":"success"}]`), "attempts[0].result", "unknown_value"},
		{`{"type":"circuit","chain":"b","provider_id":"p","to":"ajar"}`, "to", "unknown_value"},
		{`{"type":"weather"}`, "type", "unknown_type"},
		{decisionWith(`,"ts":1`), "ts", "too_old"},
		{decisionWith(fmt.Sprintf(`,"ts":%d`, testNow.UnixMilli()-3_600_001)), "ts", "too_old"},
	} {
		_, f := decodeOne(t, c.text)
		name := f.path
		if name == "" && f.field < numFields {
			name = fieldNames[f.field]
		}
		if f.code != c.code || name != c.field {
			t.Errorf("%.120s: %s of %q, want %s of %q (%s)", c.text, f.code, name, c.code, c.field, f.detail)
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
			e.Attempts = []store.Attempt{{ProviderID: "q", ErrorCategory: "timeout", DurationMicros: 7250, Transport: store.WS}}
		}),
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
		if f.code != "" {
			t.Errorf("%s: %+v", text, f)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
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
