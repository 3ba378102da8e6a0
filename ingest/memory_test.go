package ingest

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"remuda/store"
)

// dribble is a body that comes slowly, until it is interrupted.
type dribble struct {
	io.Reader // what comes at once
	each      time.Duration
	cut       chan struct{}
}

func (d *dribble) Read(into []byte) (int, error) {
	if n, _ := d.Reader.Read(into); n > 0 {
		return n, nil
	}
	select {
	case <-time.After(d.each):
		into[0] = ' '
		return 1, nil
	case <-d.cut:
		return 0, os.ErrDeadlineExceeded
	}
}

func (d *dribble) Whole() bool { return false }
func (d *dribble) Gone() bool  { return false }
func (d *dribble) Interrupt()  { close(d.cut) }

// whole is a body that has come.
type whole struct{ io.Reader }

func (whole) Whole() bool { return true }
func (whole) Gone() bool  { return false }
func (whole) Interrupt()  {}

// TestSlowBodies: senders that announce much and send little hold little, and make
// room for those that send; bodies that have come need no room beside them.
func TestSlowBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.New(store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		const limit = 8 << 20
		g, err := New(Options{Store: s, MaxInFlight: limit})
		if err != nil {
			t.Fatal(err)
		}
		ingest := func(body io.Reader, length int64) (store.Receipt, error) {
			return g.Ingest(t.Context(), Body{Reader: body, Type: "application/x-ndjson", Length: length})
		}
		const slow = 4000
		ended := make(chan error, slow)
		begin := func(count int, first string) {
			for range count {
				go func() {
					_, err := ingest(&dribble{strings.NewReader(first), time.Second, make(chan struct{})}, 1<<20)
					ended <- err
				}()
			}
			synctest.Wait()
		}
		begin(slow/4, "{")
		if now, _ := g.InFlight(); now != slow/4*firstBuffer {
			t.Errorf("%d slow bodies hold %d bytes", slow/4, now)
		}
		time.Sleep(slowAfter * 2)
		begin(slow*3/4, "{")                                                     // more than there is room for
		if now, _ := g.InFlight(); now > limit+firstBuffer || now < limit*9/10 { // until those that are cut have ended, others are too
			t.Errorf("%d bytes are in flight of %d", now, limit)
		}
		cut := 0
		for len(ended) > 0 {
			var own *Error
			if err := <-ended; !errors.As(err, &own) || own.Code() != "overloaded" {
				t.Fatal(err)
			}
			cut++
		}
		if want := slow - limit/firstBuffer; cut < want-1 || cut > want*11/10 {
			t.Errorf("%d were refused, want %d", cut, want)
		}
		// What has come is taken although there is no room, and nobody is slow yet.
		if receipt, err := ingest(whole{strings.NewReader(oneEvent)}, int64(len(oneEvent))); err != nil || receipt.Accepted != 1 {
			t.Errorf("a body that has come: %+v %v", receipt, err)
		}
		time.Sleep(slowAfter * 2)
		// What comes fast has room made for it.
		fast := strings.Repeat(oneEvent+"\n", 10_000)
		if receipt, err := ingest(strings.NewReader(fast), int64(len(fast))); err != nil || receipt.Accepted+receipt.Duplicates != 10_000 {
			t.Errorf("a body that comes fast: %+v %v", receipt, err)
		}
		g.memory.mu.Lock()
		for c := g.memory.coming.Front(); c != nil; c = c.Next() {
			c.Value.(*coming).interrupt()
		}
		g.memory.mu.Unlock()
		synctest.Wait()
		if now, _ := g.InFlight(); now != 0 || g.memory.coming.Len() != 0 {
			t.Errorf("%d bytes are still in flight", now)
		}
		time.Sleep(2 * lookEvery)
	})
}

// TestBufferGrows: a buffer holds at most eight times what came, or 4 KiB, and what it
// counted is given back.
func TestBufferGrows(t *testing.T) {
	for _, length := range []int64{0, 1, 5000, 100_000, 3_000_000, 7_000_000} {
		for _, announced := range []int64{0, length} {
			m := memory{limit: 1 << 30}
			b := buffer{memory: &m}
			came := int64(0)
			err := b.fill(readerFunc(func(into []byte) (int, error) {
				if has := int64(cap(b.bytes)); has > max(8*came, firstBuffer) || has != b.counted || m.inFlight() != has {
					t.Fatalf("of %d bytes %d came, and %d are held, %d counted", length, came, has, b.counted)
				}
				n := min(int64(len(into)), 1000, length-came)
				if came += n; n == 0 {
					return 0, io.EOF
				}
				return int(n), nil
			}), announced, 8<<20)
			if err != nil || int64(len(b.bytes)) != length {
				t.Errorf("%d bytes: %d, %v", length, len(b.bytes), err)
			}
			if b.drop(); m.inFlight() != 0 || b.counted != 0 {
				t.Errorf("%d bytes: %d are still counted", length, m.inFlight())
			}
		}
	}
}

type readerFunc func(into []byte) (int, error)

func (f readerFunc) Read(into []byte) (int, error) { return f(into) }
