package load

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options are how a run talks to whoever started it.
type Options struct {
	// Progress is called some times a second; nil for nobody.
	Progress func(Progress)
}

// Progress is a run as it is under way.
type Progress struct {
	Stage            string
	Elapsed, Planned time.Duration
	Accepted         uint64
	Rejected         uint64
	Frames           uint64
	Behind           uint64 // requests accepted that the slowest viewer has not been shown
	AcceptP99        time.Duration
}

// run is a plan being carried out.
type run struct {
	plan     Plan
	options  Options
	nodes    []*node
	accounts []*account // by node
	viewers  []*viewer
	wide     wideReaders
	began    time.Time
}

// settleTime is how long nodes and viewers may take to show everything; tests shorten it.
var settleTime = 30 * time.Second

const (
	patienceLost = 3 * time.Second        // the same when a node has ended
	sampleEvery  = 5 * time.Second        // of what nodes say of themselves
	progressStep = 250 * time.Millisecond // of what is shown while it runs
	connecting   = 64                     // viewers that connect at the same time
)

// Run carries out a plan. An error means that it could not be; whether what came
// out is right is in the report.
func Run(ctx context.Context, plan Plan, o Options) (*Report, error) {
	if err := plan.complete(); err != nil {
		return nil, PlanError{fmt.Errorf("a load wants %w", err)}
	}
	r := &run{plan: plan, options: o, wide: wideReaders{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: plan.WideReaders}}, answers: make(map[string]uint64)}}
	defer r.wide.client.CloseIdleConnections()
	var err error
	if len(plan.URLs) > 0 {
		r.nodes, err = knownNodes(plan.URLs)
	} else {
		r.say(Progress{Stage: "starting nodes"})
		r.nodes, err = startNodes(ctx, &r.plan)
	}
	if err != nil {
		return nil, err
	}
	defer stopNodes(r.nodes)
	for range r.nodes {
		r.accounts = append(r.accounts, &account{
			expected: make([]sums, plan.Providers), doubtful: make([]sums, plan.Providers),
		})
	}
	return r.carryOut(ctx)
}

func (r *run) say(p Progress) {
	if r.options.Progress != nil {
		r.options.Progress(p)
	}
}

// carryOut connects the viewers, posts the load, waits until everything is shown
// everywhere, and reports.
func (r *run) carryOut(ctx context.Context) (*Report, error) {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var viewers sync.WaitGroup
	defer func() {
		stop()
		viewers.Wait()
	}()
	if _, err := r.measureAll(ctx); err != nil { // say that a node is not there before any viewer finds out
		return nil, err
	}
	if err := r.connect(ctx, watching, &viewers); err != nil {
		return nil, err
	}
	before, err := r.measureAll(ctx)
	if err != nil {
		return nil, err
	}
	r.began = time.Now()
	var posting sync.WaitGroup
	for i := range r.nodes {
		next := new(atomic.Uint64)
		for range r.plan.Connections {
			posting.Go(func() { r.pace(ctx, i, next, r.began) })
		}
	}
	reading, leave := context.WithCancel(ctx)
	var wide sync.WaitGroup
	wide.Go(func() { r.wide.come(reading, r) })
	done := make(chan struct{})
	go func() {
		posting.Wait()
		leave()
		wide.Wait()
		close(done)
	}()
	samples := r.watch(ctx, done)
	ended := time.Now()
	// What an interrupted run has sent is accounted for all the same.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime+20*time.Second)
	defer cancel()
	counts := r.settle(finish)
	after := slices.Clone(before)
	silent := make([]error, len(r.nodes))
	for i, n := range r.nodes {
		if u, err := n.measure(finish); err == nil {
			after[i] = u
		} else {
			silent[i] = err
		}
	}
	stop()
	viewers.Wait()
	return r.report(counts, before, after, silent, samples, ended), nil
}

// connect opens the streams of all viewers and waits for their first snapshots.
func (r *run) connect(ctx, watching context.Context, group *sync.WaitGroup) error {
	queries := make(map[string]*shown)
	for i := range r.plan.Viewers {
		n := r.nodes[i%len(r.nodes)]
		path := viewerPath(&r.plan, i/len(r.nodes)%r.plan.Views)
		view := queries[n.url.Host+path]
		if view == nil {
			view = newShown()
			queries[n.url.Host+path] = view
		}
		r.viewers = append(r.viewers, &viewer{base: n.url, path: path, shown: view, ready: make(chan struct{})})
	}
	ctx, cancel := context.WithTimeout(ctx, max(30*time.Second, time.Duration(r.plan.Viewers)*20*time.Millisecond))
	defer cancel()
	slots := make(chan struct{}, connecting)
	opened := 0
	for opened < len(r.viewers) {
		v := r.viewers[opened]
		select {
		case slots <- struct{}{}:
			opened++
			group.Go(func() {
				go func() {
					select {
					case <-v.ready:
					case <-watching.Done():
					}
					<-slots
				}()
				v.follow(watching)
			})
			if opened%100 == 0 {
				r.say(Progress{Stage: fmt.Sprintf("%d of %d viewers", opened, len(r.viewers))})
			}
		case <-ctx.Done():
			return r.notConnected(ctx)
		}
	}
	for _, v := range r.viewers {
		select {
		case <-v.ready:
		case <-ctx.Done():
			return r.notConnected(ctx)
		}
	}
	return nil
}

func (r *run) notConnected(ctx context.Context) error {
	for _, v := range r.viewers {
		if fault := v.lastFault.Load(); fault != nil {
			return fmt.Errorf("a viewer does not get its snapshot: %s", *fault)
		}
	}
	return fmt.Errorf("viewers do not get their snapshots: %w", context.Cause(ctx))
}

func (r *run) measureAll(ctx context.Context) ([]usage, error) {
	list := make([]usage, len(r.nodes))
	for i, n := range r.nodes {
		var err error
		if list[i], err = n.measure(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", n.url, err)
		}
	}
	return list, nil
}

// watch samples the nodes and shows the progress until the posting is done.
func (r *run) watch(ctx context.Context, done <-chan struct{}) (samples [][]usage) {
	progress := time.NewTicker(progressStep)
	defer progress.Stop()
	ctx, cancel := context.WithCancel(ctx)
	var sampling sync.WaitGroup
	defer func() {
		cancel()
		sampling.Wait()
	}()
	sampling.Go(func() { // apart from the progress: a node that does not answer takes its time
		sample := time.NewTicker(sampleEvery)
		defer sample.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-sample.C:
				// A node that does not answer now will be asked again.
				if list, err := r.measureAll(ctx); err == nil {
					samples = append(samples, list)
				}
			}
		}
	})
	for {
		select {
		case <-done:
			cancel()
			sampling.Wait()
			return samples
		case <-progress.C:
			r.say(r.progress())
		}
	}
}

func (r *run) progress() Progress {
	p := Progress{Stage: "load", Elapsed: time.Since(r.began), Planned: r.plan.Duration}
	var accept histogram
	for _, a := range r.accounts {
		p.Accepted += a.accepted.Load()
		p.Rejected += a.rejected.Load()
		a.mu.Lock()
		accept.merge(&a.accept)
		a.mu.Unlock()
	}
	p.AcceptP99 = accept.quantile(0.99)
	for _, v := range r.viewers {
		p.Frames += v.count.Load()
		if seen := v.seen.Load(); seen < p.Accepted {
			p.Behind = max(p.Behind, p.Accepted-seen)
		}
	}
	return p
}

// expected is what every node has to show, by the key of the provider's row, and
// what it may show besides: events whose answers were lost.
func (r *run) expected() (certain, doubtful map[string]sums) {
	certain, doubtful = make(map[string]sums), make(map[string]sums)
	keys := newGenerator(&r.plan).keys
	for _, a := range r.accounts {
		a.mu.Lock()
		for i, key := range keys {
			addTo(certain, key, a.expected[i])
			addTo(doubtful, key, a.doubtful[i])
		}
		a.mu.Unlock()
	}
	return certain, doubtful
}

func addTo(m map[string]sums, key string, s sums) {
	if s != (sums{}) {
		s.add(m[key])
		m[key] = s
	}
}

// settle waits until nodes and viewers show what they have to, and returns what
// every node counted by then.
func (r *run) settle(ctx context.Context) []map[string]sums {
	certain, doubtful := r.expected()
	counts := make([]map[string]sums, len(r.nodes))
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); ; <-ticker.C {
		settled, patience := true, settleTime
		for i, n := range r.nodes {
			if counts[i] != nil && len(differences(certain, doubtful, counts[i])) == 0 {
				continue
			}
			if n.ended() { // it never will; the others still may
				patience = min(patience, patienceLost)
			}
			found, err := n.counted(ctx, &r.plan)
			if err == nil {
				counts[i] = found
			}
			settled = settled && err == nil && len(differences(certain, doubtful, found)) == 0
		}
		// Nodes agree with each other even about what is in doubt.
		for i := range counts {
			settled = settled && len(differences(counts[0], nil, counts[i])) == 0
		}
		want := uint64(0)
		for _, s := range counts[0] {
			want += s.requests
		}
		for _, v := range r.viewers {
			settled = settled && v.seen.Load() == want
		}
		if settled || time.Since(began) > patience {
			return counts
		}
		r.say(Progress{Stage: "waiting until everything is shown everywhere"})
	}
}

// differences names the providers for which something else was counted than what
// is certain, up to what is doubtful more.
func differences(certain, doubtful, counted map[string]sums) []string {
	var list []string
	for key := range union(certain, doubtful, counted) {
		c, d, is := certain[key], doubtful[key], counted[key]
		between := func(is, low, more uint64) bool { return is >= low && is <= low+more }
		if between(is.calls, c.calls, d.calls) && between(is.errors, c.errors, d.errors) &&
			between(is.requests, c.requests, d.requests) && between(is.failovers, c.failovers, d.failovers) &&
			between(is.cutOff, c.cutOff, d.cutOff) && between(is.notSent, c.notSent, d.notSent) &&
			between(is.hedges, c.hedges, d.hedges) && between(is.hedgeWins, c.hedgeWins, d.hedgeWins) {
			continue
		}
		list = append(list, fmt.Sprintf("%s: %+d calls, %+d errors, %+d requests, %+d failovers, %+d cut off, %+d not sent, %+d hedges, %+d of them won", key,
			int64(is.calls-c.calls), int64(is.errors-c.errors), int64(is.requests-c.requests), int64(is.failovers-c.failovers),
			int64(is.cutOff-c.cutOff), int64(is.notSent-c.notSent), int64(is.hedges-c.hedges), int64(is.hedgeWins-c.hedgeWins)))
	}
	slices.Sort(list)
	return list
}

func union(maps ...map[string]sums) map[string]bool {
	keys := make(map[string]bool)
	for _, m := range maps {
		for key := range m {
			keys[key] = true
		}
	}
	return keys
}
