package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// answerTime is how long a node may take to answer before it counts as silent.
const answerTime = 30 * time.Second

// lateTime is how long behind the end of the plan batches are still posted.
const lateTime = 10 * time.Second

// posted is one batch that a node took.
type posted struct {
	intended time.Time
	requests uint64 // accepted
}

// account is what became of the lines of a node, or of all nodes.
type account struct {
	mu        sync.Mutex
	expected  []sums // by provider, of what was accepted
	doubtful  []sums // of what was sent and never answered
	batches   []posted
	accept    histogram
	phases    [2]histogram // of accept: without wide readers, and beside them
	firstSent time.Time
	lastSent  time.Time

	sent, accepted, rejected, duplicates, unanswered atomic.Uint64 // lines
	refused                                          atomic.Uint64 // of rejected: in bodies refused as a whole
	unsent                                           atomic.Uint64 // lines that came too late, or to no connection
	surprises                                        atomic.Uint64 // answers that were not what the plan wants
}

// intended is when a batch is to be posted, since the start: anywhere in its share
// of the time, lest batches keep step with the intervals of viewers.
func (p *Plan) intended(number uint64) time.Duration {
	each := float64(p.Batch) / float64(p.Rate) * float64(time.Second)
	random := rand.NewPCG(p.Seed, number|1<<63)
	return time.Duration((float64(number) + float64(random.Uint64()>>11)/(1<<53)) * each)
}

// pace posts the batches of one node: every goroutine takes the next number, waits
// for its time and posts it. When all of them are late, batches are late, and their
// latency says so.
func (r *run) pace(ctx context.Context, node int, next *atomic.Uint64, began time.Time) {
	plan := &r.plan
	g, p := newGenerator(plan), newPoster(r.nodes[node].url)
	defer p.close()
	account := r.accounts[node]
	expected := make([]sums, plan.Providers)
	nodes := uint64(plan.nodes())
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var body []byte
	for {
		n := next.Add(1) - 1
		number := n*nodes + uint64(node) // nodes take turns
		now := time.Now()
		since := now.Sub(began)
		if !plan.Closed {
			since = plan.intended(number)
		}
		intended := began.Add(since)
		switch {
		case since >= plan.Duration:
			return
		case now.After(began.Add(plan.Duration + lateTime)):
			account.unsent.Add(uint64(plan.Batch))
			continue
		}
		clear(expected)
		var repeated, invalid int
		body, repeated, invalid = g.batch(body[:0], number, node, intended, since, expected)
		if wait := time.Until(intended); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		}
		if ctx.Err() != nil {
			return // an interrupted run is accounted for as far as it came
		}
		if plan.Closed {
			intended = time.Now()
		}
		// The batch under way is answered even when the run is interrupted.
		a, err := p.post(context.WithoutCancel(ctx), body)
		account.settle(a, err, intended, plan.Batch, repeated, invalid, expected, plan.beside(since))
	}
}

// settle enters the end of a batch.
func (c *account) settle(a answer, err error, intended time.Time, good, repeated, invalid int, expected []sums, phase int) {
	now := time.Now()
	lines := uint64(good + repeated + invalid)
	if errors.Is(err, errUnsent) {
		c.unsent.Add(lines)
		return
	}
	c.sent.Add(lines)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.firstSent.IsZero() {
		c.firstSent = intended
	}
	c.lastSent = now
	switch {
	case err != nil:
		c.unanswered.Add(lines)
		addAll(c.doubtful, expected)
		return
	case a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests:
		c.rejected.Add(lines)
		c.refused.Add(lines)
		return
	case a.status != http.StatusAccepted || a.Accepted != good || a.Duplicates != repeated || a.Rejected != invalid:
		c.surprises.Add(1)
	}
	c.accepted.Add(uint64(a.Accepted))
	c.duplicates.Add(uint64(a.Duplicates))
	c.rejected.Add(uint64(a.Rejected))
	c.accept.add(now.Sub(intended), 1)
	if phase >= 0 {
		c.phases[phase].add(now.Sub(intended), 1)
	}
	if a.Accepted > 0 {
		addAll(c.expected, expected)
		c.batches = append(c.batches, posted{intended, uint64(a.Accepted)})
	}
}

func addAll(to, from []sums) {
	for i := range from {
		to[i].add(from[i])
	}
}
