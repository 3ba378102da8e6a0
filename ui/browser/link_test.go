package browser

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// link is a connection to a node as somebody far away has it: so many bytes a second
// for all that comes down, a round trip that takes its time, and little room for
// bytes on their way.
type link struct {
	rate      float64 // bytes/s
	roundTrip time.Duration

	mu   sync.Mutex
	free time.Time // when the wire has carried what it was given
	down int       // bytes that it carried
}

// far puts a link before a node, and returns what the page takes for the node.
func far(tb testing.TB, n *node, l *link) *node {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			all.Go(func() { l.carry(conn, n.address()) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return &node{tb: tb, url: "http://" + listener.Addr().String()}
}

// carry joins two connections until either ends.
func (l *link) carry(near net.Conn, address string) {
	defer near.Close()
	time.Sleep(l.roundTrip) // of the handshake
	there, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer there.Close()
	_ = there.(*net.TCPConn).SetReadBuffer(16 << 10) // else the kernel takes seconds of it
	var both sync.WaitGroup
	both.Go(func() {
		defer near.Close()
		l.move(near, there, l.wire)
	})
	l.move(there, near, func(int) time.Time { return time.Now() })
	_ = there.Close()
	both.Wait()
}

// wire waits for its turn, and says when so many bytes will have been carried.
func (l *link) wire(n int) time.Time {
	l.mu.Lock()
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	begin := l.free
	l.free = begin.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	end := l.free
	l.down += n
	l.mu.Unlock()
	time.Sleep(time.Until(begin))
	return end
}

// narrow gives the link another rate.
func (l *link) narrow(rate float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = rate
}

func (l *link) carried() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

// move copies, each piece half a round trip after the wire has carried it.
func (l *link) move(to io.Writer, from io.Reader, wire func(int) time.Time) {
	type piece struct {
		due   time.Time
		bytes []byte
	}
	under := make(chan piece, 256)
	var writer sync.WaitGroup
	writer.Go(func() {
		failed := false
		for p := range under {
			time.Sleep(time.Until(p.due))
			if !failed {
				_, err := to.Write(p.bytes)
				failed = err != nil
			}
		}
	})
	defer writer.Wait()
	defer close(under)
	for {
		bytes := make([]byte, 1400)
		n, err := from.Read(bytes)
		if n > 0 {
			under <- piece{wire(n).Add(l.roundTrip / 2), bytes[:n]}
		}
		if err != nil {
			return
		}
	}
}

// traffic posts a call of each of so many providers every half second, until the test
// ends. It returns when each round was posted; the first is 0.
func traffic(t *testing.T, n *node, providers int) func() []time.Time {
	var mu sync.Mutex
	var rounds []time.Time
	lines := make([]string, providers)
	post := func() {
		for j := range lines {
			lines[j] = decision([]string{"arbitrum", "base", "ethereum", "gnosis", "linea", "optimism", "polygon", "scroll"}[j%8], fmt.Sprintf("provider_%02d", j/8), "success", 20+float64((len(rounds)*j)%97), "")
		}
		n.post(lines...)
		mu.Lock()
		rounds = append(rounds, time.Now())
		mu.Unlock()
	}
	post()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				post()
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return func() []time.Time {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(rounds)
	}
}

// age is what the page says in its corner, in seconds.
const age = `Number(document.getElementById('fresh').textContent.match(/^(?:live|lagging|stale) ([0-9.]+) s$/)?.[1] ?? 99)`

// TestAgeIsTrue: over a link that cannot carry what comes, the page says how old its
// numbers are, not when they arrived; and it asks for fewer frames.
func TestAgeIsTrue(t *testing.T) {
	n := startNode(t)
	rounds := traffic(t, n, 240)
	l := &link{rate: 1e6, roundTrip: 200 * time.Millisecond}
	way := far(t, n, l)
	p := newPage(t, way)
	p.do("prepare", before(`{ const real = Date.now; window.by = -3600_000; Date.now = () => real() + window.by; window.real = real; }`)) // its clock is an hour behind
	p.navigate(way.url + "/?view=providers")
	p.shows("live", age+` < 2 && document.querySelector('tr[data-key="base/provider_00"]')`)
	settled := time.NewTimer(4 * time.Second)
	had, began := l.carried(), time.Now()
	<-settled.C
	l.narrow(0.15 * float64(l.carried()-had) / time.Since(began).Seconds())
	late := 0
	eventually(t, "late numbers", func() string {
		got := eval[[3]float64](p, `[real(), `+age+`, Number(document.querySelector('tr[data-key="base/provider_00"] td:nth-child(6)').innerText)]`)
		at, said, calls := time.UnixMilli(int64(got[0])), got[1], int(got[2])
		posted := rounds()
		if said == 99 || calls >= len(posted) {
			return fmt.Sprintf("the page says %.1f s", said)
		}
		// With the calls of so many rounds it shows the time between that round and the next.
		least, most := at.Sub(posted[calls]).Seconds(), at.Sub(posted[calls-1]).Seconds()
		if said < least-1.5 || said > most+2.5 {
			t.Errorf("the page says %.1f s, and its numbers are from %.1f to %.1f s old", said, least, most)
		}
		if least < 3 {
			return fmt.Sprintf("the numbers are %.1f s old", least)
		}
		if late++; late < 10 {
			return fmt.Sprintf("late %d times", late)
		}
		return ""
	})
	eventually(t, "fewer frames", func() string {
		for _, row := range n.rows("subscribers") {
			if row["interval_ms"].(float64) > 500 {
				return ""
			}
		}
		return "nobody asks for fewer"
	})
	l.narrow(1e6)
	p.showsWithin(40*time.Second, "on time again", age+` < 3`)
	eval[bool](p, `(window.by = 7200_000, true)`) // it is set, or the machine slept
	p.shows("still", `document.getElementById('fresh').textContent.startsWith('live')`)
}

// TestFarAway: over 50 kB/s and a round trip of 200 ms a table of 480 rows is there
// soon, and stays young.
func TestFarAway(t *testing.T) {
	n := startNode(t)
	traffic(t, n, 480)
	l := &link{rate: 50e3, roundTrip: 200 * time.Millisecond}
	way := far(t, n, l)
	p := newPage(t, way)
	began := time.Now()
	p.navigate(way.url + "/?view=providers")
	p.shows("the numbers", `document.querySelectorAll('#table-providers tbody tr').length > 10 && document.querySelector('section.table h2').innerText === 'Providers 480'`)
	// The clock is not judged: what else this machine does would be.
	t.Logf("480 rows after %v and %d bytes", time.Since(began).Round(10*time.Millisecond), l.carried())
	if l.carried() > 110_000 {
		t.Errorf("the first numbers take %d bytes, which are %.1f s", l.carried(), float64(l.carried())/l.rate)
	}
	var ages []float64
	eventually(t, "young numbers", func() string {
		ages = append(ages, eval[float64](p, age))
		if len(ages) > 20 {
			ages = ages[1:]
			if sorted := slices.Sorted(slices.Values(ages)); sorted[18] <= 2 {
				return ""
			}
		}
		return fmt.Sprint(ages)
	})
	t.Logf("ages %.1f", ages)
}
