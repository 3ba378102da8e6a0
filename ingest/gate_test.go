package ingest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"remuda/store"
)

const oneEvent = `{"chain":"c","provider_id":"p","method":"m","duration_ms":1,"result":"success"}`

// come is what came of a post that came before the gate.
type come struct {
	number int
	err    error
	after  time.Duration
}

// crowd has posts come to a gate, each so long after the one before.
func crowd(g *gate, count int, apart time.Duration, source Source) <-chan come {
	all := make(chan come, count)
	for n := range count {
		go func() {
			began := time.Now()
			err := g.enter(context.Background(), source)
			all <- come{n, err, time.Since(began)}
		}()
		time.Sleep(apart)
	}
	return all
}

// TestGateOrder: the first is next while waits are short, and the newest when they
// have grown.
func TestGateOrder(t *testing.T) {
	for name, c := range map[string]struct {
		wait time.Duration
		want []int
	}{
		"short": {fair / 2, []int{0, 1, 2}},
		"long":  {fair, []int{2, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(1)
				if err := g.enter(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				all := crowd(g, 3, time.Millisecond, nil)
				time.Sleep(c.wait)
				var got []int
				for range 3 {
					g.leave()
					a := <-all
					if a.err != nil {
						t.Fatal(a.err)
					}
					got = append(got, a.number)
				}
				g.leave()
				if !slices.Equal(got, c.want) {
					t.Errorf("turns went to %v, want %v", got, c.want)
				}
			})
		})
	}
}

// TestGatePace: a node that gets far more than it can take refuses no more than it
// can well afford, none before its patience ends, and lets nobody wait for longer
// than the longest.
func TestGatePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		if err := g.enter(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		const count = 3000
		all := crowd(g, count, 0, nil)
		stop := make(chan struct{})
		const perSecond = 100
		go func() {
			for {
				select {
				case <-time.After(time.Second / perSecond):
					g.leave()
				case <-stop:
					return
				}
			}
		}()
		var refusedBy [longest/time.Second + 2]int
		turns := 0
		for range count {
			a := <-all
			if a.err == nil {
				turns++
				continue
			}
			var own *Error
			if !errors.As(a.err, &own) || own.Code() != "overloaded" || own.RetryAfter() < time.Second ||
				a.after < longest/2 && own.RetryAfter() < longest {
				t.Fatalf("refused by %v, to come again in %v", a.err, own.RetryAfter())
			}
			if a.after < patience || a.after > longest+lookEvery {
				t.Fatalf("refused after %v", a.after)
			}
			refusedBy[a.after/time.Second]++
		}
		close(stop)
		const most = leastRefusals + perSecond/turnsForRefusal
		for second, n := range refusedBy[:longest/time.Second] {
			if second >= 2 && (n < most-10 || n > most+10) {
				t.Errorf("%d refused in second %d, want some %d", n, second, most)
			}
		}
		if want := int(longest/time.Second) * perSecond; turns < want-5 {
			t.Errorf("%d turns, want %d", turns, want)
		}
		time.Sleep(2 * lookEvery)
		if g.lookDue || g.queue() > 0 {
			t.Error("it still looks")
		}
	})
}

// TestGateQueue: senders that post again as soon as they are answered all get their turn,
// in their order, while that comes before they would give up, however long they wait. Of
// more than that some are refused.
func TestGateQueue(t *testing.T) {
	const perSecond, seconds = 100, 60
	for senders, some := range map[int]bool{perSecond * 6: false, perSecond * 12: true} {
		synctest.Test(t, func(t *testing.T) {
			g := newGate(1)
			if err := g.enter(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			end := time.Now().Add(seconds * time.Second)
			var turns, refusals int
			var longestWait time.Duration
			var mu sync.Mutex
			var all sync.WaitGroup
			for range senders {
				all.Go(func() {
					for time.Now().Before(end) {
						began := time.Now()
						err := g.enter(t.Context(), nil)
						mu.Lock()
						if wait := time.Since(began); err != nil {
							refusals++
						} else if turns++; time.Until(end) < seconds*time.Second/2 {
							longestWait = max(longestWait, wait)
						}
						mu.Unlock()
					}
				})
			}
			for time.Now().Before(end) {
				time.Sleep(time.Second / perSecond)
				g.leave()
			}
			for g.queue() > 0 {
				g.leave()
				synctest.Wait()
			}
			all.Wait()
			if some != (refusals > senders) {
				t.Errorf("%d senders: %d are refused", senders, refusals)
			}
			if !some && longestWait > time.Duration(senders)*time.Second/perSecond+2*lookEvery {
				t.Errorf("%d senders: one waits for %v", senders, longestWait)
			}
			if turns < perSecond*seconds {
				t.Errorf("%d senders: %d turns", senders, turns)
			}
		})
	}
}

// leaver is a sender that gives up.
type leaver struct {
	io.Reader
	at time.Time
}

func (l leaver) Whole() bool { return true }
func (l leaver) Gone() bool  { return time.Now().After(l.at) }
func (l leaver) Interrupt()  {}

// TestGateLearns: when senders are seen to give up, others are refused before that;
// one alone changes little, and what was learnt is forgotten.
func TestGateLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(0) // nobody ever gets a turn
		const wait = 4 * time.Second
		for range 40 {
			<-crowd(g, 1, 0, leaver{at: time.Now().Add(wait)})
		}
		if g.longestWait < longest*9/10 {
			t.Errorf("one at a time: they may wait for %v", g.longestWait)
		}
		all := crowd(g, 3000, 0, leaver{at: time.Now().Add(wait)})
		for range 3000 {
			<-all
		}
		if g.longestWait > wait {
			t.Errorf("they go after %v, and may wait for %v", wait, g.longestWait)
		}
		refusedIn := (<-crowd(g, 1, 0, leaver{at: time.Now().Add(wait)})).err
		if errors.Is(refusedIn, errGone) {
			t.Error("it was not refused before it went")
		}
		for range 200 {
			<-crowd(g, 1, 0, nil)
		}
		if g.longestWait < longest*9/10 {
			t.Errorf("later they may wait for %v", g.longestWait)
		}
	})
}

// TestOverload: a body that gets no turn in time is refused as a whole, with a time
// to come again; one that gets a turn late is counted.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.New(store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		g, err := New(Options{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		post := func(ctx context.Context, gone time.Duration) (store.Receipt, error) {
			b := Body{Reader: strings.NewReader(oneEvent), Type: "application/x-ndjson", Length: int64(len(oneEvent))}
			if gone > 0 {
				b.Reader = leaver{b.Reader, time.Now().Add(gone)}
			}
			return g.Ingest(ctx, b)
		}
		turns := g.gate.freeTurns
		for range turns { // all turns are taken
			if err := g.gate.enter(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		_, err = post(t.Context(), 0)
		var own *Error
		if !errors.As(err, &own) || own.Code() != "overloaded" || own.RetryAfter() == 0 {
			t.Fatalf("without a turn: %v", err)
		}
		if took := time.Since(began); took < patience || took > patience+lookEvery {
			t.Errorf("refused after %v, want %v", took, patience)
		}
		if now, _ := g.InFlight(); now != 0 {
			t.Errorf("%d bytes of a refused body are in flight", now)
		}
		gone, cancel := context.WithTimeout(t.Context(), patience/2)
		defer cancel()
		if _, err := post(gone, 0); !errors.As(err, &own) || own.Code() != "canceled" {
			t.Errorf("a request that ends: %v", err)
		}
		time.AfterFunc(patience/2, g.gate.leave)
		if _, err := post(t.Context(), patience/4); !errors.As(err, &own) || own.Code() != "canceled" {
			t.Errorf("a sender that gives up: %v", err)
		}
		if n := s.Usage().EventsAccepted; n != 0 {
			t.Errorf("%d events of refused bodies were counted", n)
		}
		if err := g.gate.enter(t.Context(), nil); err != nil { // the turn that it did not take
			t.Error(err)
		}
		time.AfterFunc(patience/2, g.gate.leave)
		if receipt, err := post(t.Context(), patience); err != nil || receipt.Accepted != 1 {
			t.Errorf("with a late turn: %+v %v", receipt, err)
		}
		if g.gate.freeTurns != 1 {
			t.Errorf("%d turns are free", g.gate.freeTurns)
		}
		time.Sleep(2 * lookEvery)
	})
}
