package main

import (
	"errors"
	"net"
	"testing"
)

// TestLimit: no more connections than there are slots, a closed one gives its slot
// back once, and Close ends an Accept that waits for one.
func TestLimit(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner.(*net.TCPListener), 1)
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
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Fatal("two connections in one slot")
	default:
	}
	_ = first.Close()
	_ = first.Close() // as a server and a handler may
	second := <-accepted
	if len(l.slots) != 1 {
		t.Errorf("%d slots are taken", len(l.slots))
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	_ = second.Close()
	for _, c := range clients {
		_ = c.Close()
	}
}
