package cluster

import (
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

// A transport is what memberlist gossips over: UDP for packets, TCP for streams. The
// library's own makes a buffer of 64 KiB for every packet that comes, which at a
// thousand packets a second is most of what a node allocates; this one makes them as
// large as the packet. It also counts what goes over the wire.
type transport struct {
	udp     *net.UDPConn
	tcp     *net.TCPListener
	log     *log.Logger
	packets chan *memberlist.Packet
	streams chan net.Conn
	traffic *traffic

	closing   sync.Once
	closed    chan struct{}
	listeners sync.WaitGroup
}

// traffic is in bytes, without the headers of IP, UDP and TCP.
type traffic struct{ sent, received atomic.Uint64 }

const (
	maxPacket     = 64 << 10
	receiveBuffer = 2 << 20 // of the socket, as far as the system grants it
	acceptPause   = 100 * time.Millisecond
)

// newTransport binds its sockets; port 0 takes one that is free for both. What comes
// waits in them for [transport.receive].
func newTransport(host string, port int, logger *log.Logger, counted *traffic) (*transport, error) {
	tcp, udp, err := listenBoth(host, port)
	for again := 0; err != nil && port == 0 && again < 10; again++ { // its twin was taken
		tcp, udp, err = listenBoth(host, port)
	}
	if err != nil {
		return nil, err
	}
	_ = udp.SetReadBuffer(receiveBuffer) // a smaller one loses packets in bursts, which the protocol bears
	return &transport{
		udp: udp, tcp: tcp, log: logger, traffic: counted,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), closed: make(chan struct{}),
	}, nil
}

// receive begins to hand on what comes. It is for when serf.Create has returned: serf
// goes on being made while its memberlist already answers, and a ping that comes in
// between, such as others send to a node that was killed and is back, would read what
// is not written yet.
func (t *transport) receive() {
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

func (t *transport) readPackets() {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := t.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue // an empty packet, or word of one that did not arrive
		}
		t.traffic.received.Add(uint64(n))
		packet := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}
		select {
		case t.packets <- packet:
		case <-t.closed:
			return
		}
	}
}

func (t *transport) acceptStreams() {
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
		select {
		case t.streams <- countedConn{conn, t.traffic}:
		case <-t.closed:
			_ = conn.Close()
			return
		}
	}
}

// FinalAdvertiseAddr is where others reach this node.
func (t *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	bound := t.tcp.Addr().(*net.TCPAddr)
	switch {
	case ip == "" && !bound.IP.IsUnspecified():
		return bound.IP, bound.Port, nil
	case ip == "":
		var err error
		if ip, err = sockaddr.GetPrivateIP(); err != nil || ip == "" {
			return nil, 0, fmt.Errorf("no private address found to tell members: give --advertise: %w", err)
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
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err == nil {
		_, err = t.udp.WriteToUDPAddrPort(b, to)
	}
	if err == nil {
		t.traffic.sent.Add(uint64(len(b)))
	}
	return time.Now(), err
}

// PacketCh gives the packets that came.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout opens a stream.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, err
	}
	return countedConn{conn, t.traffic}, nil
}

// StreamCh gives the streams that others opened.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown ends listening, and waits until it has.
func (t *transport) Shutdown() error {
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
	traffic *traffic
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.traffic.received.Add(uint64(n))
	return n, err
}

func (c countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.traffic.sent.Add(uint64(n))
	return n, err
}
