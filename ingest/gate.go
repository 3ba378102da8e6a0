package ingest

import (
	"context"
	"sync"
	"time"
)

// A gate lets a few bodies at a time be worked on: more would only make all of them
// late. The others wait before it with nothing read of them.
//
// Who came first is next as long as all that wait get their turn before their senders
// give up. When the queue is longer, the newest is: a node that gets more than it can take
// answers some at once, and does not answer all when their senders have given up. Those
// that are left behind are refused, and that at a pace: a refusal costs a part of what
// counting does, and a sender that is refused may come back at once. So refusing gets a
// share of the work, and a post that cannot be refused yet goes on waiting, which costs
// next to nothing, and may yet get its turn.
//
// What becomes of a body:
//
//	it comes ──▶ a turn is free ──────────────────────────▶ turn ──▶ it is read and counted
//	   │                                                     ▲
//	   └──▶ waits ──▶ a turn ends, and it is next ───────────┘
//	          ├─────▶ its request ends ─────────────────────▶ canceled
//	          ├─────▶ after 1 s, if its sender is gone ─────▶ gone: canceled
//	          └─────▶ after 1 s, if too many wait, or after the longest wait ──▶ refused: overloaded
//
// An example: 500 turns end in a second, and senders give up after 5 s. Of each that is
// gone when it is looked at the gate learns a sixteenth: the longest wait goes from 10 s
// towards 7/8 of 5 s, which is 4.4 s. More than get a turn in 7/8 of that, 500 × 3.8 s =
// 1,900, are too many. So 1,500 connections that post again as soon as they are answered
// wait for 3 s: each gets its turn, and none is refused. Of 4,000 the first has always
// waited for long; then those that came last are served, who are still there, and of the
// others 40 + 500/4 = 165 a second refused. A gate that learns nothing more forgets a
// fiftieth a second: after a minute the longest wait is 8.3 s again.
//
// A gate is safe for concurrent use.
type gate struct {
	mu           sync.Mutex
	freeTurns    int     // that nobody has; nobody waits then
	waiting      waiters // in the order they came
	lookDue      bool    // a look is to come
	lastLook     time.Time
	turnsEnded   int     // since the last look
	refusalsMade int     // since the last look
	refusalsDue  float64 // that may be made
	pace         float64 // turns that could end in a second if none were refused, lately

	longestWait time.Duration // for as long as senders seem to wait
}

const (
	// patience is how long a body waits for its turn before it may be refused.
	patience = time.Second
	// longest is how long it waits at most, if senders do. What was learnt of them is
	// forgotten at the rate of recovery, a second.
	longest  = 10 * time.Second
	recovery = 0.02
	// fair is how long the first has waited when the newest may get the next turn.
	fair = patience / 2
	// Refusals in a second: so many, and one for so many turns.
	leastRefusals   = 40
	turnsForRefusal = 4
	refusalCost     = 0.4 // of a turn
	lookEvery       = 50 * time.Millisecond
)

func newGate(turns int) *gate { return &gate{freeTurns: turns, longestWait: longest} }

// waiter is a post that waits.
type waiter struct {
	before, behind *waiter
	since          time.Time
	source         Source // nil: nothing is known of its sender
	verdict        chan verdict
}

type verdict uint8

const (
	none    verdict = iota // it waits
	turn                   // it is next
	refused                // it has waited for long enough
	gone                   // its sender is
)

// waiters is a list of them.
type waiters struct {
	first, last *waiter
	count       int
}

func (l *waiters) add(w *waiter) {
	w.before = l.last
	if l.last != nil {
		l.last.behind = w
	} else {
		l.first = w
	}
	l.last = w
	l.count++
}

func (l *waiters) remove(w *waiter) {
	if w.before != nil {
		w.before.behind = w.behind
	} else {
		l.first = w.behind
	}
	if w.behind != nil {
		w.behind.before = w.before
	} else {
		l.last = w.before
	}
	l.count--
}

// enter waits for a turn, which the caller ends by leave. One that had to wait, and
// whose sender, if that can be told, is gone when its turn comes, gets none.
func (g *gate) enter(ctx context.Context, source Source) error {
	g.mu.Lock()
	if g.freeTurns > 0 { // Fast path: a node that is not overloaded has one free
		g.freeTurns--
		g.mu.Unlock()
		return nil
	}
	w := &waiter{since: time.Now(), source: source, verdict: make(chan verdict, 1)}
	g.waiting.add(w)
	if !g.lookDue {
		g.lookDue, g.lastLook, g.turnsEnded = true, w.since, 0
		time.AfterFunc(lookEvery, g.look)
	}
	g.mu.Unlock()

	v := none
	select {
	case v = <-w.verdict:
	case <-ctx.Done():
		g.mu.Lock()
		select {
		case v = <-w.verdict: // it came at the same moment
		default:
			g.waiting.remove(w)
		}
		g.mu.Unlock()
	}
	switch {
	case v == turn && ctx.Err() == nil && (source == nil || !source.Gone()):
		return nil
	case v == turn:
		g.next(0)
	}
	if v != refused { // none: its request has ended
		return errGone
	}
	return &Error{code: "overloaded", detail: "more events come than this node can take", retryAfter: g.comeAgain()}
}

// leave ends a turn.
func (g *gate) leave() { g.next(1) }

// next hands a turn on, at the end of which so many bodies have been worked on.
func (g *gate) next(ended int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turnsEnded += ended
	w := g.waiting.first
	if w == nil {
		g.freeTurns++
		return
	}
	if g.waiting.count > 1 && time.Since(w.since) > fair && g.tooMany() {
		w = g.waiting.last
	}
	g.waiting.remove(w)
	w.verdict <- turn
}

// tooMany reports whether more wait than get their turn before their senders give up, with
// an eighth of the time to spare.
func (g *gate) tooMany() bool {
	return float64(g.waiting.count) > g.pace*(g.longestWait*7/8).Seconds()
}

// look refuses those that have waited for too long, as many as may be, and comes again
// as long as anybody waits.
func (g *gate) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	passed := now.Sub(g.lastLook).Seconds()
	g.lastLook = now
	g.refusalsDue = min(g.refusalsDue+leastRefusals*passed+float64(g.turnsEnded)/turnsForRefusal, leastRefusals)
	could := float64(g.turnsEnded) + float64(g.refusalsMade)*refusalCost
	g.pace += (could/max(passed, 1e-3) - g.pace) * min(passed, 1)
	g.turnsEnded, g.refusalsMade = 0, 0
	g.longestWait += time.Duration(passed * recovery * float64(longest-g.longestWait))
	for w := g.waiting.first; w != nil; w = g.waiting.first {
		v := g.verdictOn(w, now.Sub(w.since))
		if v == none {
			break
		}
		g.waiting.remove(w)
		w.verdict <- v
		if v == refused {
			g.refusalsMade++
		}
	}
	if g.lookDue = g.waiting.count > 0; g.lookDue {
		time.AfterFunc(lookEvery, g.look)
	}
}

// verdictOn says what becomes of the one that has waited longest.
func (g *gate) verdictOn(w *waiter, waited time.Duration) verdict {
	switch {
	case waited < patience:
		return none
	case w.source != nil && w.source.Gone():
		g.longestWait -= max(g.longestWait-max(waited*7/8, patience), 0) / 16 // one says little
		return gone
	case waited >= g.longestWait || g.refusalsDue >= 1 && g.tooMany():
		g.refusalsDue = max(g.refusalsDue-1, 0)
		return refused
	}
	return none
}

// comeAgain is when there may be a turn for one who is refused now.
func (g *gate) comeAgain() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	seconds := 1.0
	if g.pace > 0 {
		seconds += float64(g.waiting.count) / g.pace
	}
	return time.Duration(min(seconds, 30)) * time.Second
}

// queue is how many wait.
func (g *gate) queue() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting.count
}
