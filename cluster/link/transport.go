// Package link is what two members need to bear each other's bytes: sockets for gossip,
// secrets that sign and seal, requests that count once, and turns for who asks for much.
// It knows no store and no rule, and nothing here waits for whoever is at the other end
// longer than it says.
package link

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-sockaddr"
	"github.com/hashicorp/memberlist"
)

// A Transport is what memberlist gossips over: UDP for packets, TCP for streams. The
// library's own makes a buffer of 64 KiB for every packet that comes, which at a
// thousand packets a second is most of what a node allocates; this one makes them as
// large as the packet. It also counts what goes over the wire.
type Transport struct {
	udp     *net.UDPConn
	tcp     *net.TCPListener
	log     *log.Logger
	packets chan *memberlist.Packet
	streams chan net.Conn
	traffic *Traffic

	open      atomic.Int64 // streams that others opened
	mu        sync.Mutex
	reached   map[string]net.Conn // streams opened by Reach that were not taken yet
	closing   sync.Once
	closed    chan struct{}
	listeners sync.WaitGroup
}

// Traffic is in bytes, without the headers of IP, UDP and TCP.
type Traffic struct{ Sent, Received atomic.Uint64 }

const (
	maxPacket     = 64 << 10
	receiveBuffer = 2 << 20 // of the socket, as far as the system grants it
	acceptPause   = 100 * time.Millisecond

	// maxStreams bounds the streams that others have opened. Members need one each from time
	// to time, for a moment. More are closed at once: their ends try again.
	maxStreams = 256
)

// NewTransport binds its sockets; port 0 takes one that is free for both. What comes
// waits in them for [Transport.Receive].
func NewTransport(host string, port int, logger *log.Logger, counted *Traffic) (*Transport, error) {
	tcp, udp, err := listenBoth(host, port)
	for again := 0; err != nil && port == 0 && again < 10; again++ { // its twin was taken
		tcp, udp, err = listenBoth(host, port)
	}
	if err != nil {
		return nil, err
	}
	_ = udp.SetReadBuffer(receiveBuffer) // a smaller one loses packets in bursts, which the protocol bears
	return &Transport{
		udp: udp, tcp: tcp, log: logger, traffic: counted,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), closed: make(chan struct{}),
	}, nil
}

// Receive begins to hand on what comes. It is for when serf.Create has returned: serf
// goes on being made while its memberlist already answers, and a ping that comes in
// between, such as others send to a node that was killed and is back, would read what
// is not written yet.
func (t *Transport) Receive() {
	t.listeners.Go(t.readPackets)
	t.listeners.Go(t.acceptStreams)
}

func listenBoth(host string, port int) (*net.TCPListener, *net.UDPConn, error) {
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(host), Port: port})
	if err != nil {
		return nil, nil, err
	}
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host), Port: tcp.Addr().(*net.TCPAddr).Port})
	if err != nil {
		_ = tcp.Close()
		return nil, nil, err
	}
	return tcp, udp, nil
}

func (t *Transport) readPackets() {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := t.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue // an empty packet, or word of one that did not arrive
		}
		t.traffic.Received.Add(uint64(n))
		packet := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}
		select {
		case t.packets <- packet:
		case <-t.closed:
			return
		}
	}
}

func (t *Transport) acceptStreams() {
	for {
		conn, err := t.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many files are open, most likely
			t.log.Printf("[ERR] accept a stream: %v", err)
			select {
			case <-time.After(acceptPause):
			case <-t.closed:
				return
			}
			continue
		}
		if t.open.Add(1) > maxStreams {
			t.open.Add(-1)
			_ = conn.Close()
			continue
		}
		stream := &countedConn{Conn: conn, traffic: t.traffic, open: &t.open}
		select {
		case t.streams <- stream:
		case <-t.closed:
			_ = stream.Close()
			return
		}
	}
}

// FinalAdvertiseAddr is where others reach this node.
func (t *Transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	bound := t.tcp.Addr().(*net.TCPAddr)
	switch {
	case ip == "" && !bound.IP.IsUnspecified():
		return bound.IP, bound.Port, nil
	case ip == "":
		var err error
		if ip, err = sockaddr.GetPrivateIP(); err != nil || ip == "" {
			return nil, 0, fmt.Errorf("no private address found to tell members, and none to advertise was given: %w", err)
		}
		port = bound.Port
	}
	parsed := net.ParseIP(ip)
	if parsed == nil {
		return nil, 0, fmt.Errorf("%q is not an IP address", ip)
	}
	if port == 0 {
		port = bound.Port
	}
	return parsed, port, nil
}

// WriteTo sends a packet.
func (t *Transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err == nil {
		_, err = t.udp.WriteToUDPAddrPort(b, to)
	}
	if err == nil {
		t.traffic.Sent.Add(uint64(len(b)))
	}
	return time.Now(), err
}

// PacketCh gives the packets that came.
func (t *Transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// Reach opens the stream that DialTimeout is to be asked for next. memberlist joins one
// address after another; so whoever does not answer is waited for beforehand, all at once.
func (t *Transport) Reach(ctx context.Context, addr string, timeout time.Duration) error {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	t.mu.Lock()
	before := t.reached[addr]
	if t.reached == nil {
		t.reached = make(map[string]net.Conn)
	}
	t.reached[addr] = conn
	t.mu.Unlock()
	if before != nil {
		_ = before.Close()
	}
	return nil
}

// takeReached returns a stream that Reach opened to an address, nil when there is none.
func (t *Transport) takeReached(addr string) net.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	conn := t.reached[addr]
	delete(t.reached, addr)
	return conn
}

// Unreach closes the stream to an address that Reach opened, if nobody took it.
func (t *Transport) Unreach(addr string) {
	if conn := t.takeReached(addr); conn != nil {
		_ = conn.Close()
	}
}

// DialTimeout opens a stream, or takes the one that Reach has opened.
func (t *Transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	if conn := t.takeReached(addr); conn != nil {
		return &countedConn{Conn: conn, traffic: t.traffic}, nil
	}
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn, traffic: t.traffic}, nil
}

// StreamCh gives the streams that others opened.
func (t *Transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown ends listening, and waits until it has.
func (t *Transport) Shutdown() error {
	t.closing.Do(func() {
		close(t.closed)
		_ = t.udp.Close()
		_ = t.tcp.Close()
	})
	t.listeners.Wait()
	return nil
}

type countedConn struct {
	net.Conn
	traffic *Traffic
	open    *atomic.Int64 // of which it is one until it is closed; nil if it is not
	closing sync.Once
}

func (c *countedConn) Close() error {
	c.closing.Do(func() {
		if c.open != nil {
			c.open.Add(-1)
		}
	})
	return c.Conn.Close()
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.traffic.Received.Add(uint64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.traffic.Sent.Add(uint64(n))
	return n, err
}
