package link

import (
	"io"
	"log"
	"net"
	"testing"
	"time"
)

// TestPacketsWait: others ping a node that was killed from the moment its socket is
// bound again, when serf is not yet whole. What comes before that waits.
func TestPacketsWait(t *testing.T) {
	var counted Traffic
	sockets, err := NewTransport("127.0.0.1", 0, log.New(io.Discard, "", 0), &counted)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sockets.Shutdown() }()
	from, err := net.Dial("udp", sockets.udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if _, err := from.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-sockets.PacketCh():
		t.Error("a packet is handed on too early")
	case <-time.After(50 * time.Millisecond):
	}
	sockets.Receive()
	if packet := <-sockets.PacketCh(); string(packet.Buf) != "ping" {
		t.Errorf("got %q", packet.Buf)
	}
}

// TestStreamsBounded: of streams that others open and leave open there are so many at a
// time; the next is closed, and when one is, another one may come.
func TestStreamsBounded(t *testing.T) {
	sockets, err := NewTransport("127.0.0.1", 0, log.New(io.Discard, "", 0), new(Traffic))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sockets.Shutdown() }()
	sockets.Receive()
	open := func() net.Conn {
		conn, err := net.Dial("tcp", sockets.tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	var streams []net.Conn
	for range maxStreams {
		open()
		streams = append(streams, <-sockets.StreamCh())
	}
	if n, err := open().Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("one more is open: %d, %v", n, err)
	}
	for range 2 { // which counts once
		_ = streams[0].Close()
	}
	open()
	defer (<-sockets.StreamCh()).Close()
	if n, err := open().Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("again one more is open: %d, %v", n, err)
	}
	for _, s := range streams {
		_ = s.Close()
	}
}
