package node

import (
	"errors"
	"net"
	"testing"
)

// TestLimit: no more connections than there are slots and spare ones, a closed one gives
// its slot back once, and Close ends an Accept that waits for one.
func TestLimit(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner.(*net.TCPListener), 1, 1)
	accepted := make(chan net.Conn)
	ended := make(chan error)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	var clients []net.Conn
	for range 4 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	first, spare := <-accepted, <-accepted
	if first.(*limitedConn).Spare() || !spare.(*limitedConn).Spare() {
		t.Error("the second is not the spare one")
	}
	select {
	case <-accepted:
		t.Fatal("two connections in one slot")
	default:
	}
	_ = first.Close()
	_ = first.Close() // as a server and a handler may
	second := <-accepted
	if len(l.slots) != 1 || len(l.spares) != 1 || second.(*limitedConn).Spare() {
		t.Errorf("%d slots and %d spare ones are taken", len(l.slots), len(l.spares))
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	_ = second.Close()
	_ = spare.Close()
	for _, c := range clients {
		_ = c.Close()
	}
}

// TestConnectionsWithin: descriptors bound the connections, and some are left over.
func TestConnectionsWithin(t *testing.T) {
	for _, c := range []struct {
		descriptors  uint64
		wanted, want int
	}{
		{0, 30_000, 30_000},
		{1 << 20, 30_000, 30_000},
		{30_000 + otherDescriptors, 30_000, 30_000},
		{20_000, 30_000, 20_000 - otherDescriptors},
		{10, 30_000, 1},
		{1024, 100, 100},
	} {
		if got := connectionsWithin(c.descriptors, c.wanted); got != c.want {
			t.Errorf("%d connections of %d with %d descriptors, want %d", got, c.wanted, c.descriptors, c.want)
		}
	}
}

// TestConnectionsWithMembers: both listeners together leave descriptors for the rest.
func TestConnectionsWithMembers(t *testing.T) {
	for _, c := range []struct {
		descriptors              uint64
		wanted, clients, members int
	}{
		{0, 30_000, 30_000, 30_000},
		{60_000 + otherDescriptors, 30_000, 30_000, 30_000},
		{1024, 100, 100, 100},
		{20_000 + otherDescriptors, 30_000, 15_000, 5000},
		{400 + otherDescriptors, 300, 300, 100},
		{10, 30_000, 1, 1},
	} {
		if clients, members := connectionsWithMembers(c.descriptors, c.wanted); clients != c.clients || members != c.members {
			t.Errorf("%d of %d: %d and %d, want %d and %d", c.wanted, c.descriptors, clients, members, c.clients, c.members)
		}
	}
}
