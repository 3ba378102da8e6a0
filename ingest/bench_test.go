package ingest

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"remuda/ingest/json"
	"remuda/store"
)

var (
	sampleProviders = []string{"alchemy_primary", "infura_primary", "quicknode_1", "ankr_1", "ethereum_drpc", "ethereum_publicnode"}
	sampleMethods   = []string{"eth_blockNumber", "eth_call", "eth_getLogs", "eth_getBalance", "eth_getBlockByNumber"}
)

// decision writes one decision of some 325 bytes, in one of several layouts.
func decision(rng *rand.Rand, ts int64, n, layout int) string {
	result, category := "success", "null"
	if rng.IntN(100) < 3 {
		result, category = "error", `"timeout"`
	}
	members := []string{
		`"type":"decision"`, fmt.Sprintf(`"ts":%d`, ts), fmt.Sprintf(`"request_id":"req_%032x"`, n),
		`"profile":"default"`, `"source_node":"lasso@iad.internal"`, `"source_region":"us-east-1"`, `"chain":"ethereum"`,
		fmt.Sprintf(`"method":%q`, sampleMethods[rng.IntN(len(sampleMethods))]), `"strategy":"load_balanced"`,
		fmt.Sprintf(`"provider_id":%q`, sampleProviders[rng.IntN(len(sampleProviders))]), `"transport":"http"`,
		fmt.Sprintf(`"duration_ms":%.3f`, 45*math.Exp(0.6*rng.NormFloat64())), fmt.Sprintf(`"result":%q`, result),
		`"failover_count":0`, `"error_category":` + category, `"request_origin":"client"`,
	}
	if layout > 0 {
		rand.New(rand.NewPCG(uint64(layout), 0)).Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	}
	return "{" + strings.Join(members, ",") + "}\n"
}

func sampleBody(count, layouts int) []byte {
	rng := rand.New(rand.NewPCG(1, 1))
	var b bytes.Buffer
	for n := range count {
		layout := 0
		if layouts > 1 {
			layout = 1 + rng.IntN(layouts)
		}
		b.WriteString(decision(rng, time.Now().UnixMilli(), n, layout))
	}
	return b.Bytes()
}

func newTestWork(tb testing.TB) *work {
	tb.Helper()
	s, err := store.New(store.Options{Node: "n1", Region: "us-east-1"})
	if err != nil {
		tb.Fatal(err)
	}
	g, err := New(Options{Store: s})
	if err != nil {
		tb.Fatal(err)
	}
	w := g.newWork()
	if err := w.open("application/x-ndjson"); err != nil {
		tb.Fatal(err)
	}
	return w
}

// onlyJudged has events decoded and judged, and not applied.
type onlyJudged struct{ *json.Decoder }

func (onlyJudged) Settled() bool { return false }

func benchmarkDecode(b *testing.B, layouts int) {
	decodeBody(b, sampleBody(1000, layouts))
}

func decodeBody(b *testing.B, body []byte) {
	w := newTestWork(b)
	w.body = body
	w.decoder = onlyJudged{w.decoder.(*json.Decoder)}
	now := time.Now().UnixMilli()
	b.SetBytes(int64(len(body) / 1000))
	b.ReportAllocs()
	for i := 0; i < b.N; i += 1000 {
		if err := w.pass(now); err != nil || w.nextIndex != 1000 || w.receipt.Rejected != 0 {
			b.Fatal(err, w.receipt)
		}
	}
}

func BenchmarkDecodeSteady(b *testing.B)    { benchmarkDecode(b, 1) }
func BenchmarkDecodeAnyLayout(b *testing.B) { benchmarkDecode(b, 16) }

// BenchmarkDecodeMixed reads what gateways send: of a hundred decisions three have
// failed, with members that successes have not, and two list failed tries.
func BenchmarkDecodeMixed(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	var body bytes.Buffer
	for n := range 1000 {
		line := strings.TrimSuffix(decision(rng, time.Now().UnixMilli(), n, 0), "}\n")
		if strings.Contains(line, `"error"`) {
			line += `,"error_code":-32000`
		}
		if rng.IntN(100) < 2 {
			line += `,"attempts":[{"provider_id":"ankr_1","duration_ms":250,"result":"error","error_category":"timeout"}]`
		}
		body.WriteString(line + "}\n")
	}
	decodeBody(b, body.Bytes())
}

func BenchmarkDecodeStandardLibrary(b *testing.B) {
	lines := bytes.Split(bytes.TrimSpace(sampleBody(1000, 1)), []byte{'\n'})
	type event struct {
		Type, Profile, Chain, Method, Strategy, Transport, Result string
		RequestID                                                 string  `json:"request_id"`
		SourceNode                                                string  `json:"source_node"`
		SourceRegion                                              string  `json:"source_region"`
		ProviderID                                                string  `json:"provider_id"`
		RequestOrigin                                             string  `json:"request_origin"`
		ErrorCategory                                             *string `json:"error_category"`
		TS                                                        int64   `json:"ts"`
		Duration                                                  float64 `json:"duration_ms"`
		Failovers                                                 int     `json:"failover_count"`
	}
	b.SetBytes(int64(len(lines[0])))
	b.ReportAllocs()
	for i := range b.N {
		var e event
		if err := stdjson.Unmarshal(lines[i%1000], &e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIngest is all of it but HTTP: decode, judge, deduplicate, count. Every
// event is new.
func BenchmarkIngest(b *testing.B) {
	w := newTestWork(b)
	w.body = sampleBody(1000, 1)
	prefix := []byte("req_")
	var ids [][]byte // of the requests, in the body
	for rest := w.body; ; {
		i := bytes.Index(rest, prefix)
		if i < 0 {
			break
		}
		rest = rest[i+len(prefix):]
		ids = append(ids, rest[:16])
	}
	b.SetBytes(int64(len(w.body) / 1000))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		round := fmt.Sprintf("%016x", i)
		for _, id := range ids {
			copy(id, round)
		}
		if r, err := w.ingest(false); err != nil || r.Accepted != 1000 {
			b.Fatal(err, r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
