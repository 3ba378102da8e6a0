package memory

import (
	"testing"
	"testing/synctest"
	"time"

	"remuda/httpapi/problem"
)

// need says what a lease needs, all of it as one share.
func need(l *Lease, bytes int64) bool {
	s := Share{Lease: l, Size: l.need}
	return s.Need(bytes)
}

// TestBounds: small reads may have all of the memory, wide ones three quarters, streams
// that run seven eighths; who would not fit is refused, for good, and told to come again.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		what    string
		bytes   int64 // what is needed, while another holds half of 64 MiB
		settled bool
		fits    bool
	}{
		{"a small read", wideRead, false, true},
		{"a wide one within three quarters", 16 << 20, false, true},
		{"a wide one beyond", 17 << 20, false, false},
		{"a stream within seven eighths", 24 << 20, true, true},
		{"a stream beyond", 25 << 20, true, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := New(64<<20+2*readGrain, 2)
			first := b.Lease()
			first.Settled = true
			if !need(first, 32<<20-readGrain) {
				t.Fatal(first.Err)
			}
			l := b.Lease()
			l.Settled = c.settled
			if got := need(l, c.bytes); got != c.fits || (l.Err == nil) != c.fits {
				t.Errorf("%s: %v %v", c.what, got, l.Err)
			}
			if !c.fits {
				first.End()
				if p := problem.Of(l.Err); need(l, 1) || p.Code != "overloaded" || p.RetryAfter != time.Second {
					t.Errorf("%s is refused with %+v, and then not", c.what, p)
				}
			}
			l.End()
			first.End()
			if now, _ := b.Held(); now != 0 {
				t.Errorf("%s: %d bytes are held by nobody", c.what, now)
			}
		})
	}
}

// TestTurns: a wide read waits for one that is computed, for as long as patience has it;
// trimming gives the turn and what is spare to others.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(64<<20, 1)
		one, another, late := b.Lease(), b.Lease(), b.Lease()
		if !need(one, 8<<20) {
			t.Fatal(one.Err)
		}
		if began := time.Now(); need(late, 2<<20) || time.Since(began) != patience {
			t.Errorf("it had its turn, or waited %v", time.Since(began))
		}
		go func() {
			time.Sleep(patience / 2)
			need(one, 4<<20)
			one.Trim()
		}()
		if began := time.Now(); !need(another, 2<<20) || time.Since(began) != patience/2 {
			t.Errorf("%v after %v", another.Err, time.Since(began))
		}
		if now, limit := b.Wide(); now != 1 || limit != 1 {
			t.Errorf("%d wide reads of %d", now, limit)
		}
		if now, _ := b.Held(); now > 6<<20+2*readGrain {
			t.Errorf("%d bytes are held", now)
		}
		if !need(one, 5<<20) {
			t.Errorf("who has had its turn needs another: %v", one.Err)
		}
		one.End()
		another.End()
		late.End()
		if now, _ := b.Held(); now != 0 || len(b.queue) != 0 {
			t.Errorf("%d bytes and %d places are held by nobody", now, len(b.queue))
		}
	})
}

// TestAwait: who has a turn waits for what others give back, and only one does.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(16<<20, 2)
		small, wide, other := b.Lease(), b.Lease(), b.Lease()
		small.Settled = true
		if !need(small, 8<<20) || !need(wide, 2<<20) || !need(other, 3<<19) {
			t.Fatal(small.Err, wide.Err, other.Err)
		}
		fits := make(chan bool)
		go func() { fits <- need(wide, 9<<20) }()
		synctest.Wait()
		if need(other, 3<<20) {
			t.Error("two wait for one another")
		}
		other.End()
		small.End()
		if !<-fits {
			t.Error(wide.Err)
		}
		wide.End()
	})
}

// TestPieces: a piece of work that has become long is followed by a rest as long, and by
// the turn of somebody else.
func TestPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(1<<20, 1)
		one, another := b.Pieces(), b.Pieces()
		one.Begin()
		began := time.Now()
		one.Pause()
		if time.Since(began) != 0 {
			t.Error("a short piece rests")
		}
		var other time.Duration
		go func() {
			another.Begin()
			other = time.Since(began)
			another.End()
		}()
		time.Sleep(2 * workedAtOnce)
		one.Pause()
		synctest.Wait()
		if other != 4*workedAtOnce || time.Since(began) != other {
			t.Errorf("another works after %v, this goes on after %v", other, time.Since(began))
		}
		one.End()
	})
}
