// Package traffic makes events as gateways send them, from the names, frequencies
// and latencies that are usual: for demonstrations, samples and tests.
package traffic

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

type chain struct {
	name      string
	blockTime time.Duration
	height    uint64
	share     float64
	providers []provider
}

type provider struct {
	id     string
	median float64 // ms
	sigma  float64 // of the logarithm
	errors float64 // share of calls
	lag    uint64  // blocks
	share  float64
}

func chains() []chain {
	return []chain{
		{"ethereum", 12 * time.Second, 23_456_789, 0.5, []provider{
			{"alchemy_primary", 38, 0.45, 0.008, 0, 0.36},
			{"infura_primary", 46, 0.5, 0.012, 0, 0.24},
			{"quicknode_1", 42, 0.5, 0.01, 0, 0.2},
			{"ankr_1", 71, 0.7, 0.03, 1, 0.12},
			{"ethereum_publicnode", 95, 0.8, 0.04, 2, 0.08},
		}},
		{"base", 2 * time.Second, 31_234_567, 0.32, []provider{
			{"base_official", 33, 0.5, 0.01, 0, 0.4},
			{"alchemy_primary", 35, 0.45, 0.008, 0, 0.3},
			{"base_llamarpc", 82, 0.8, 0.04, 3, 0.15},
			{"base_drpc", 64, 0.6, 0.02, 1, 0.15},
		}},
		{"arbitrum", 250 * time.Millisecond, 345_678_901, 0.18, []provider{
			{"alchemy_primary", 41, 0.45, 0.008, 0, 0.5},
			{"arbitrum_drpc", 58, 0.6, 0.02, 4, 0.3},
			{"arbitrum_publicnode", 88, 0.8, 0.035, 14, 0.2},
		}},
	}
}

type weightedName struct {
	name  string
	share float64
	slow  float64 // factor on latency
}

var (
	methods = []weightedName{
		{"eth_blockNumber", 0.28, 0.7},
		{"eth_call", 0.26, 1},
		{"eth_getLogs", 0.13, 2.2},
		{"eth_getBalance", 0.11, 0.8},
		{"eth_getBlockByNumber", 0.09, 1.2},
		{"eth_chainId", 0.04, 0.6},
		{"eth_gasPrice", 0.04, 0.6},
		{"eth_sendRawTransaction", 0.03, 1.6},
		{"eth_getTransactionReceipt", 0.02, 1.1},
	}
	strategies = []weightedName{{"load_balanced", 0.5, 1}, {"fastest", 0.3, 1}, {"latency_weighted", 0.15, 1}, {"priority", 0.05, 1}}
	categories = []weightedName{
		{"timeout", 0.25, 1},
		{"rate_limit", 0.2, 1},
		{"server_error", 0.18, 1},
		{"network_error", 0.15, 1},
		{"execution_revert", 0.12, 1},
		{"invalid_params", 0.05, 1},
		{"block_not_available", 0.05, 1},
	}
	gateways = []struct{ node, region string }{
		{"lasso@iad", "us-east-1"}, {"lasso@sjc", "us-west-2"}, {"lasso@lhr", "eu-west-1"},
	}
)

// One of the gateways sends a hedge when a call takes longer than hedgeAfter, in ms.
const (
	hedging    = "lasso@lhr"
	hedgeAfter = 150.0
)

// A Generator makes events. It is deterministic by seed and belongs to one goroutine.
type Generator struct {
	rng    *rand.Rand
	chains []chain
	serial uint64
	outage Outage
	state  map[string]string // circuit of the failing provider by gateway
}

// An Outage makes one provider of one chain fail for a while, again and again.
type Outage struct {
	Chain, Provider string
	Every, For      time.Duration
}

// DefaultOutage is the one that demonstrations show.
var DefaultOutage = Outage{Chain: "base", Provider: "base_llamarpc", Every: time.Minute, For: 25 * time.Second}

// New returns a generator.
func New(seed uint64, outage Outage) *Generator {
	return &Generator{rng: rand.New(rand.NewPCG(seed, 1)), chains: chains(), outage: outage, state: make(map[string]string)}
}

func (g *Generator) pick(list []weightedName) *weightedName {
	at := g.rng.Float64()
	for i := range list {
		if at -= list[i].share; at < 0 {
			return &list[i]
		}
	}
	return &list[0]
}

// failing reports whether a provider is in its outage, since is the time since
// the start of the demonstration.
func (g *Generator) failing(c *chain, p *provider, since time.Duration) bool {
	o := &g.outage
	return o.Every > 0 && c.name == o.Chain && p.id == o.Provider && since%o.Every >= o.Every-o.For
}

func (g *Generator) provider(c *chain) *provider {
	at := g.rng.Float64()
	for i := range c.providers {
		if at -= c.providers[i].share; at < 0 {
			return &c.providers[i]
		}
	}
	return &c.providers[0]
}

func (g *Generator) latency(p *provider, slow float64) float64 {
	return p.median * slow * math.Exp(p.sigma*g.rng.NormFloat64())
}

// Decision appends one decision as a line of JSON. ts is in ms since the epoch; 0
// leaves it out, so that the time of arrival counts.
func (g *Generator) Decision(dst []byte, since time.Duration, ts int64) []byte {
	at := g.rng.Float64()
	c := &g.chains[0]
	for i := range g.chains {
		if at -= g.chains[i].share; at < 0 {
			c = &g.chains[i]
			break
		}
	}
	p, m := g.provider(c), g.pick(methods)
	gateway := gateways[g.rng.IntN(len(gateways))]
	g.serial++
	dst = append(dst, `{"type":"decision"`...)
	if ts > 0 {
		dst = strconv.AppendInt(append(dst, `,"ts":`...), ts, 10)
	}
	dst = fmt.Appendf(dst, `,"request_id":"req_%016x%08x","profile":"default","source_node":%q,"source_region":%q,"chain":%q,"method":%q,"strategy":%q`,
		g.rng.Uint64(), g.serial, gateway.node, gateway.region, c.name, m.name, g.pick(strategies).name)

	var attempts [][]byte
	tried := 0.0
	if g.failing(c, p, since) || g.rng.Float64() < 0.02 {
		// The first choice fails, and another provider answers.
		wait := g.latency(p, 4)
		category := "timeout"
		if g.rng.IntN(2) == 0 {
			category, wait = "server_error", g.latency(p, 1)
		}
		attempts = append(attempts, fmt.Appendf(nil, `{"provider_id":%q,"transport":"http","duration_ms":%.3f,"result":"error","error_category":%q}`,
			p.id, wait, category))
		tried = wait
		for range 4 {
			if other := g.provider(c); other != p {
				p = other
				break
			}
		}
	}
	upstream := g.latency(p, m.slow)
	result, category := "success", "null"
	if g.rng.Float64() < p.errors || g.failing(c, p, since) {
		result, category = "error", strconv.Quote(g.pick(categories).name)
	}
	failovers, reason := len(attempts), "null"
	if gateway.node == hedging && result == "success" && upstream > hedgeAfter {
		// Nobody waits any longer: another provider is asked as well, the first answer counts
		// and the other call is cut off.
		if other := g.provider(c); other != p {
			second := g.latency(other, m.slow)
			loser, took, of := other, upstream-hedgeAfter, "hedge"
			if reason = `"primary"`; hedgeAfter+second < upstream {
				loser, took, of, reason = p, hedgeAfter+second, "primary", `"hedge"`
				p, upstream = other, second
				tried += hedgeAfter
			}
			attempts = append(attempts, fmt.Appendf(nil, `{"provider_id":%q,"transport":"http","duration_ms":%.3f,"result":"cancelled","reason":%q}`,
				loser.id, took, of))
		}
	}
	dst = fmt.Appendf(dst, `,"provider_id":%q,"transport":"http","duration_ms":%.3f,"upstream_ms":%.3f,"result":%q,"reason":%s,"failover_count":%d,"error_category":%s,"request_origin":"client"`,
		p.id, tried+upstream+0.4, upstream, result, reason, failovers, category)
	if len(attempts) > 0 {
		dst = append(append(dst, `,"attempts":[`...), bytes.Join(attempts, []byte{','})...)
		dst = append(dst, ']')
	}
	return append(dst, "}\n"...)
}

// Reports appends what gateways say every second besides decisions: heights, and
// the circuit and health of the provider that fails. In the second round of an
// outage's end the circuit is half open, then closed.
func (g *Generator) Reports(dst []byte, since time.Duration, ts int64) []byte {
	stamp := ""
	if ts > 0 {
		stamp = `,"ts":` + strconv.FormatInt(ts, 10)
	}
	for i := range g.chains {
		c := &g.chains[i]
		height := c.height + uint64(since/c.blockTime)
		for j := range c.providers {
			p := &c.providers[j]
			for _, gateway := range gateways {
				dst = fmt.Appendf(dst, `{"type":"block"%s,"chain":%q,"provider_id":%q,"source_node":%q,"source_region":%q,"height":%d,"source":"ws"}`+"\n",
					stamp, c.name, p.id, gateway.node, gateway.region, height-p.lag)
				dst = g.circuit(dst, c, p, gateway.node, gateway.region, since, stamp)
			}
		}
	}
	return dst
}

// circuit appends the transition of a breaker, when it has one. A breaker is
// reported once when the gateway starts.
func (g *Generator) circuit(dst []byte, c *chain, p *provider, node, region string, since time.Duration, stamp string) []byte {
	key := c.name + "/" + p.id + "/" + node
	was := g.state[key]
	is, reason, failures := "closed", "recovered", 0
	switch phase := since % max(g.outage.Every, 1); {
	case g.failing(c, p, since) && phase < g.outage.Every-g.outage.For+2*time.Second:
		is = was // five failures are needed first
		failures = 3
	case g.failing(c, p, since) && phase >= g.outage.Every-4*time.Second:
		is, reason, failures = "half_open", "recovery_attempt", 1
	case g.failing(c, p, since):
		is, reason, failures = "open", "failure_threshold_exceeded", 8
	}
	if is == was || is == "" {
		return dst
	}
	if was == "" {
		was = "closed"
		if is == was {
			reason = "manual_close"
		}
	}
	g.state[key] = is
	dst = fmt.Appendf(dst, `{"type":"circuit"%s,"chain":%q,"provider_id":%q,"transport":"http","source_node":%q,"source_region":%q,"from":%q,"to":%q,"reason":%q}`+"\n",
		stamp, c.name, p.id, node, region, was, is, reason)
	status := map[string]string{"closed": "healthy", "half_open": "degraded", "open": "unhealthy"}[is]
	return fmt.Appendf(dst, `{"type":"health"%s,"chain":%q,"provider_id":%q,"source_node":%q,"source_region":%q,"status":%q,"consecutive_failures":%d,"consecutive_successes":%d,"latency_ms":%.1f}`+"\n",
		stamp, c.name, p.id, node, region, status, failures, 2, g.latency(p, 1))
}

// Sample is a short stretch of traffic without timestamps, the same every time.
func Sample(decisions int) []byte {
	g := New(7, Outage{Chain: "base", Provider: "base_llamarpc", Every: time.Minute, For: time.Minute})
	var b []byte
	b = g.Reports(b, 10*time.Second, 0)
	for range decisions {
		b = g.Decision(b, 10*time.Second, 0)
	}
	return b
}
