package load

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

var (
	chainNames = []string{"ethereum", "base", "arbitrum"}
	// providerNames of each chain, in turn.
	providerNames = []string{
		"alchemy_primary", "base_official", "arbitrum_drpc", "infura_primary", "base_llamarpc", "arbitrum_publicnode",
		"quicknode_1", "base_publicnode", "arbitrum_lava", "ankr_1", "base_drpc", "arbitrum_pocket", "cloudflare_1", "base_lava",
		"alchemy_fallback", "ethereum_publicnode", "ethereum_drpc", "ethereum_llamarpc",
	}
	methodNames = []string{
		"eth_blockNumber", "eth_call", "eth_getLogs", "eth_getBalance", "eth_getBlockByNumber", "eth_chainId", "eth_gasPrice",
		"eth_sendRawTransaction", "eth_getTransactionCount", "eth_getStorageAt", "eth_getTransactionReceipt", "eth_getCode",
		"eth_estimateGas", "eth_feeHistory", "net_version", "trace_block",
	}
	regionNames = []string{"us-east-1", "us-west-2", "eu-west-1", "ap-south", "eu-central-1", "sa-east-1", "ap-northeast-1"}
	categories  = []string{"timeout", "rate_limit", "server_error", "network_error", "execution_revert", "invalid_params"}
)

// nameOf is a name of a list, or a made-up one behind its end.
func nameOf(list []string, i int, more string) string {
	if i < len(list) {
		return list[i]
	}
	return more + strconv.Itoa(i)
}

// sums is what has to be counted for one provider.
type sums struct {
	calls, errors, requests, failovers, cutOff, notSent, hedges, hedgeWins uint64
}

func (s *sums) add(o sums) {
	s.calls += o.calls
	s.errors += o.errors
	s.requests += o.requests
	s.failovers += o.failovers
	s.cutOff += o.cutOff
	s.notSent += o.notSent
	s.hedges += o.hedges
	s.hedgeWins += o.hedgeWins
}

// counted is a row of a node's answer, as far as it is checked.
type counted struct {
	Key           string `json:"key"`
	TotalCalls    uint64 `json:"total_calls"`
	ErrorCount    uint64 `json:"error_count"`
	Requests      uint64 `json:"requests"`
	FailoverCount uint64 `json:"failover_count"`
	CutOffCalls   uint64 `json:"cut_off_calls"`
	NotSent       uint64 `json:"not_sent"`
	HedgedCalls   uint64 `json:"hedged_calls"`
	HedgeWins     uint64 `json:"hedge_wins"`
}

// countedFields are the columns of it.
const countedFields = "total_calls,error_count,requests,failover_count,cut_off_calls,not_sent,hedged_calls,hedge_wins"

func (c *counted) sums() sums {
	return sums{
		calls: c.TotalCalls, errors: c.ErrorCount, requests: c.Requests, failovers: c.FailoverCount,
		cutOff: c.CutOffCalls, notSent: c.NotSent, hedges: c.HedgedCalls, hedgeWins: c.HedgeWins,
	}
}

// generator writes batches of events. A batch depends on the plan and its number
// alone, so any goroutine may write any of them; each has a generator of its own.
type generator struct {
	plan   *Plan
	source [][][]byte // node, series: the members that are the same in all its events
	random rand.PCG
	id     [16]byte
	factor []uint64 // latency of each provider, of 256
	keys   []string // provider → key of its row
	lines  []int    // where the lines of the batch begin
}

// latencies are quantiles of a log-normal distribution around 45 ms, in µs.
var latencies = func() (table [1024]uint64) {
	for i := range table {
		q := (float64(i) + 0.5) / float64(len(table))
		table[i] = uint64(45_000 * math.Exp(0.6*math.Sqrt2*math.Erfinv(2*q-1)))
	}
	return table
}()

func newGenerator(p *Plan) *generator {
	g := &generator{plan: p, factor: make([]uint64, p.Providers), keys: make([]string, p.Providers)}
	for i := range p.Providers {
		g.factor[i] = 180 + uint64(i*37%240)
		g.keys[i] = chainNames[i%len(chainNames)] + "/" + nameOf(providerNames, i, "provider_")
	}
	nodes := p.nodes()
	for n := range nodes {
		list := make([][]byte, p.Series)
		for k := range list {
			provider := k % p.Providers
			region := nameOf(regionNames, (n+k*nodes)%p.Regions, "region-")
			list[k] = fmt.Appendf(nil,
				`,"profile":%q,"source_node":"lasso-%d","source_region":%q,"chain":%q,"method":%q,"strategy":"fastest","provider_id":%q,"transport":"http","duration_ms":`,
				p.Profile, n+1, region, chainNames[provider%len(chainNames)], nameOf(methodNames, k/p.Providers, "eth_method"),
				nameOf(providerNames, provider, "provider_"))
		}
		g.source = append(g.source, list)
	}
	return g
}

// share is the number of 65,536 that is a percentage.
func share(pct float64) uint64 { return uint64(pct * 65536 / 100) }

// batch appends batch number n, which goes to a node, and adds to expected (a
// place for each provider) what it has to change when it is accepted. It returns
// how many lines besides the plan's events have to be found duplicate, and how
// many refused.
func (g *generator) batch(dst []byte, n uint64, node int, at time.Time, since time.Duration, expected []sums) (text []byte, repeated, invalid int) {
	p := g.plan
	g.random.Seed(p.Seed, n)
	ts := at.UnixMilli()
	failing := p.OutageEvery > 0 && since%p.OutageEvery >= p.OutageEvery-p.OutageFor
	errorShare, failoverShare, hedgeShare, consensusShare := share(p.ErrorPct), share(p.FailoverPct), share(p.HedgePct), share(p.ConsensusPct)
	g.lines = g.lines[:0]
	repeated, invalid = p.extra(p.RepeatPct, n), p.extra(p.InvalidPct, n)
	for i := range p.Batch {
		g.lines = append(g.lines, len(dst))
		r := g.random.Uint64()
		// The product of two uniform numbers: some series have much, some little.
		k := int((r >> 48) * (r >> 32 & 0xffff) * uint64(p.Series) >> 32)
		provider := k % p.Providers
		micros := latencies[r&1023] * g.factor[provider] >> 8
		failed := r>>10&0xffff < errorShare || failing && provider == 0
		r = g.random.Uint64()
		tried := r&0xffff < failoverShare
		// Beside the call that ends a request there may be a hedge or its primary, which is
		// cut off, or another slot of a consensus and one that was skipped. Of the hedged
		// requests some are given up by their clients.
		beside := g.random.Uint64()
		hedged := beside&0xffff < hedgeShare
		won, givenUp := hedged && beside>>16&1 == 1, hedged && beside>>17&7 == 0 && !failed
		compared := !hedged && beside>>20&0xffff < consensusShare

		dst = append(dst, `{"type":"decision","ts":`...)
		dst = strconv.AppendInt(dst, ts, 10)
		dst = append(dst, `,"request_id":"`...)
		binary.BigEndian.PutUint64(g.id[:], r)
		binary.BigEndian.PutUint64(g.id[8:], n*uint64(p.Batch)+uint64(len(g.lines)))
		dst = hex.AppendEncode(dst, g.id[:])
		if i < repeated { // without this two equal lines of a body are two events
			dst = append(dst, `","event_id":"`...)
			dst = hex.AppendEncode(dst, g.id[:])
		}
		dst = append(dst, '"')
		dst = append(dst, g.source[node][k]...)
		dst = appendMillis(dst, micros+3400)
		dst = append(dst, `,"upstream_ms":`...)
		dst = appendMillis(dst, micros)
		s := sums{calls: 1, requests: 1}
		switch {
		case failed:
			s.errors = 1
			dst = append(dst, `,"result":"error","error_category":"`...)
			dst = append(dst, categories[r>>16%uint64(len(categories))]...)
			dst = append(dst, `","request_origin":"client"`...)
		case givenUp:
			s.cutOff = 1
			dst = append(dst, `,"result":"cancelled","request_origin":"client"`...)
		default:
			dst = append(dst, `,"result":"success","error_category":null,"request_origin":"client"`...)
		}
		if won {
			s.hedges = 1
			if !failed && !givenUp {
				s.hedgeWins = 1
			}
			dst = append(dst, `,"reason":"hedge"`...)
		}
		if tried || hedged || compared { // on the next provider of the same chain
			other := (provider + len(chainNames)) % p.Providers
			if other%len(chainNames) != provider%len(chainNames) {
				other = provider
			}
			opening := `,"attempts":[`
			attempt := func(adds sums, rest string) {
				expected[other].add(adds)
				dst = append(append(dst, opening...), `{"provider_id":"`...)
				dst = append(dst, nameOf(providerNames, other, "provider_")...)
				dst = append(append(dst, `","duration_ms":`...), rest...)
				opening = ","
			}
			if tried {
				s.failovers = 1
				attempt(sums{calls: 1, errors: 1}, `250,"result":"error","error_category":"timeout"}`)
			}
			switch {
			case won:
				attempt(sums{calls: 1, cutOff: 1}, `48,"result":"cancelled","reason":"primary"}`)
			case hedged:
				attempt(sums{calls: 1, cutOff: 1, hedges: 1}, `12,"result":"cancelled","reason":"hedge"}`)
			case compared:
				attempt(sums{calls: 1}, `44,"result":"success","reason":"consensus"}`)
				attempt(sums{notSent: 1}, `0,"result":"not_sent","reason":"consensus"}`)
			}
			dst = append(dst, ']')
		}
		expected[provider].add(s)
		dst = append(dst, "}\n"...)
	}
	g.lines = append(g.lines, len(dst))
	for i := range repeated {
		dst = append(dst, dst[g.lines[i]:g.lines[i+1]]...)
	}
	for range invalid {
		dst = append(dst, `{"chain":"ethereum","provider_id":"infura_primary","method":"eth_call","duration_ms":-1,"result":"success"}`+"\n"...)
	}
	return dst, repeated, invalid
}

// extra is how many lines a percentage adds to batch n: what is left of a line is
// carried to the next batch.
func (p *Plan) extra(pct float64, n uint64) int {
	each := pct / 100 * float64(p.Batch)
	return min(int(each*float64(n+1))-int(each*float64(n)), p.Batch)
}

// appendMillis appends microseconds as milliseconds.
func appendMillis(dst []byte, micros uint64) []byte {
	dst = strconv.AppendUint(dst, micros/1000, 10)
	rest := micros % 1000
	return append(dst, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}
