package node

import (
	"net"
	"sync"
)

// otherDescriptors are for what is no connection of clients: files, gossip, pulls. A
// checkpoint is written also when clients have all the others.
const otherDescriptors = 128

// connectionsWithin is how many connections there may be so that descriptors do not run
// out.
func connectionsWithin(descriptors uint64, wanted int) int {
	if descriptors == 0 || uint64(wanted)+otherDescriptors <= descriptors {
		return wanted
	}
	return int(max(descriptors, otherDescriptors+1) - otherDescriptors)
}

// connectionsWithMembers is the same where members have a listener of their own: as many
// for them too, or else a quarter of all, so that strangers there take none of the rest.
func connectionsWithMembers(descriptors uint64, wanted int) (clients, members int) {
	all := connectionsWithin(descriptors, 2*wanted)
	if all == 2*wanted {
		return wanted, wanted
	}
	members = max(all/4, 1)
	return max(min(wanted, all-members), 1), members
}

// spareConnections are for those who ask whether a full node lives.
const spareConnections = 16

// limitListener accepts so many connections at a time, and some spare ones; more wait in
// the kernel's queue. Its connections are TCP connections in every respect but Close:
// streams write to their sockets directly.
type limitListener struct {
	*net.TCPListener
	slots, spares chan struct{}
	ended         chan struct{}
	end           sync.Once
}

func limit(l *net.TCPListener, connections, spares int) *limitListener {
	return &limitListener{
		TCPListener: l, slots: make(chan struct{}, connections), spares: make(chan struct{}, spares), ended: make(chan struct{}),
	}
}

// Accept implements net.Listener.
func (l *limitListener) Accept() (net.Conn, error) {
	slots := l.slots
	select {
	case l.slots <- struct{}{}:
	default: // full
		select {
		case l.slots <- struct{}{}:
		case l.spares <- struct{}{}:
			slots = l.spares
		case <-l.ended:
			return nil, net.ErrClosed
		}
	}
	c, err := l.AcceptTCP()
	if err != nil {
		<-slots
		return nil, err
	}
	return &limitedConn{TCPConn: c, slots: slots, spare: slots == l.spares}, nil
}

// Close implements net.Listener.
func (l *limitListener) Close() error {
	l.end.Do(func() { close(l.ended) })
	return l.TCPListener.Close()
}

// limitedConn gives its slot back when it is closed.
type limitedConn struct {
	*net.TCPConn
	slots chan struct{}
	spare bool
	freed sync.Once
}

// Spare reports whether it is beyond the bound, see [httpapi.API.Listener].
func (c *limitedConn) Spare() bool { return c.spare }

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	err := c.TCPConn.Close()
	c.freed.Do(func() { <-c.slots })
	return err
}
