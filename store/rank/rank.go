// Package rank orders providers as a router should prefer them.
package rank

import (
	"math"
	"slices"
	"strings"

	"remuda/store"
	"remuda/store/cell"
)

// Row is one provider in the order a router should prefer them.
type Row struct {
	Key, Chain, ProviderID string
	HasScore               bool // false during a cold start
	Score                  float64
	Eligible               bool
	ColdStart              bool
	Reasons                []string
	Figures                store.Figures
	State                  store.ProviderState
}

// Query asks for a ranking. Filter must name at least one chain.
type Query struct {
	Filter    store.Filter
	Window    cell.Window
	LassoRank bool // the older formula: success rate × 1000/(1000+average) × log10(calls)

	Pause func()                 // as in [store.Query]
	Grow  func(bytes int64) bool // as in [store.Query]; when it refuses there is no ranking
}

const (
	coldStartCalls = 10   // fewer calls say nothing yet
	wilsonZ        = 1.96 // 95 % confidence
)

// Providers lists providers in the order in which a router should prefer them. Each
// score is the lower bound of the Wilson interval of availability, so that few
// calls promise little, times 1000/(1000+latency in ms). When no method is asked
// for, latency is standardised: a provider that is given the slow methods is not
// slower for it.
func Providers(s *store.Store, q Query) []Row {
	t := s.NewTable(store.Query{Filter: q.Filter, By: []store.Dim{store.ChainDim, store.ProviderDim}, Window: q.Window, Providers: true, Pause: q.Pause, Grow: q.Grow})
	if t.Refresh(); t.Stopped() {
		return nil
	}
	standard := make(map[string]float64)
	if len(q.Filter[store.MethodDim]) == 0 {
		if grow, size := q.Grow, t.Size(); grow != nil {
			q.Grow = func(bytes int64) bool { return grow(size + bytes) }
		}
		standard = standardLatencies(s, q)
	}
	if q.Grow != nil && !q.Grow(0) {
		return nil
	}
	severalChains := len(q.Filter[store.ChainDim]) != 1
	var list []Row
	for _, row := range t.Rows() {
		r := Row{
			Key: row.Dims[store.ProviderDim], Chain: row.Dims[store.ChainDim], ProviderID: row.Dims[store.ProviderDim],
			Figures: row.Figures, State: *row.Provider,
		}
		if severalChains {
			r.Key = row.Key
		}
		latency, ok := standard[row.Key]
		if !ok && row.Mean != cell.None {
			latency = float64(row.Mean) / 1000
		}
		r.judge(q, latency)
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Row) int {
		switch {
		case a.HasScore != b.HasScore:
			if a.HasScore {
				return -1
			}
			return 1
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return strings.Compare(a.Key, b.Key)
	})
	return list
}

// judge sets score, eligibility and reasons. latency is in ms.
func (r *Row) judge(q Query, latency float64) {
	f := &r.Figures
	r.Eligible = true
	exclude := func(reason string) {
		r.Eligible = false
		r.Reasons = append(r.Reasons, reason)
	}
	for transport, state := range r.State.Circuit {
		if state == store.CircuitOpen && q.Filter.Keeps(store.TransportDim, store.Transport(transport).String()) {
			exclude("circuit_open_" + store.Transport(transport).String())
		}
	}
	if r.State.Lags() {
		exclude("lagging")
	}
	if r.State.BlocksAhead > 0 {
		exclude("ahead")
	}
	if f.Calls > 0 && r.State.SilentSince > 0 {
		exclude("unknown")
	}
	if f.Calls == 0 {
		// Nothing in the window: whatever is known of it is out of date.
		exclude("stale")
	}
	ended := f.Ended()
	if ended < coldStartCalls {
		r.ColdStart = true
		r.Reasons = append(r.Reasons, "cold_start")
		return
	}
	r.HasScore = true
	if !r.Eligible {
		return
	}
	if q.LassoRank {
		average := 0.0
		if f.Avg != cell.None {
			average = float64(f.Avg) / 1000
		}
		r.Score = 100 * float64(f.Successes()) / float64(ended) * 1000 / (1000 + average) * math.Log10(float64(ended))
		return
	}
	if f.Successes() == 0 {
		r.Reasons = append(r.Reasons, "no_success")
		return // no latency to speak of, and nothing to recommend it
	}
	availability := 1 - float64(f.ProviderErrors)/float64(ended)
	samples := float64(f.Samples) * (float64(ended) / float64(f.Calls)) // what was cut off is no evidence
	r.Score = wilsonLower(availability, samples) * 1000 / (1000 + latency)
}

// wilsonLower is the lower bound of the Wilson score interval (E. B. Wilson, 1927)
// of a share p seen in n samples.
func wilsonLower(p, n float64) float64 {
	if n == 0 {
		return 0
	}
	const z2 = wilsonZ * wilsonZ
	return max(0, (p+z2/(2*n)-wilsonZ*math.Sqrt(p*(1-p)/n+z2/(4*n*n)))/(1+z2/n))
}

// standardLatencies returns the mean latency in ms of every
// chain/provider, standardised to the chain's mix of methods: observed divided by
// what the chain's average of each method would give for the provider's own mix,
// times the chain's mean.
func standardLatencies(s *store.Store, q Query) map[string]float64 {
	f := q.Filter
	f[store.ProviderDim] = nil // the chain's averages are over all providers
	t := s.NewTable(store.Query{Filter: f, By: []store.Dim{store.ChainDim, store.ProviderDim, store.MethodDim}, Window: q.Window, Pause: q.Pause, Grow: q.Grow})
	t.Refresh()
	type mean struct{ sum, n float64 }
	byMethod, byChain := make(map[[2]string]mean), make(map[string]mean)
	successes := func(r *store.Row) (sum, n float64) { // with what was cut off, that would have been some
		n = float64(r.Calls - r.Errors)
		if r.Mean == cell.None {
			return 0, 0
		}
		return float64(r.Mean) / 1000 * n, n
	}
	for _, r := range t.Rows() {
		sum, n := successes(r)
		m, c := byMethod[[2]string{r.Dims[store.ChainDim], r.Dims[store.MethodDim]}], byChain[r.Dims[store.ChainDim]]
		byMethod[[2]string{r.Dims[store.ChainDim], r.Dims[store.MethodDim]}] = mean{m.sum + sum, m.n + n}
		byChain[r.Dims[store.ChainDim]] = mean{c.sum + sum, c.n + n}
	}
	type judged struct{ observed, expected float64 }
	providers := make(map[string]judged)
	for _, r := range t.Rows() {
		sum, n := successes(r)
		m := byMethod[[2]string{r.Dims[store.ChainDim], r.Dims[store.MethodDim]}]
		if n == 0 || m.n == 0 {
			continue
		}
		key := r.Dims[store.ChainDim] + "/" + r.Dims[store.ProviderDim]
		j := providers[key]
		providers[key] = judged{j.observed + sum, j.expected + n*m.sum/m.n}
	}
	out := make(map[string]float64, len(providers))
	for key, j := range providers {
		chain, _, _ := strings.Cut(key, "/")
		if c := byChain[chain]; j.expected > 0 && c.n > 0 {
			out[key] = j.observed / j.expected * c.sum / c.n
		}
	}
	return out
}
