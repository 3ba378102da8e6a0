package cluster

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"remuda/cluster/link"
	"remuda/cluster/wire"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// serfConfig is how this program uses serf.
//
// Conflicts of names are left to rule R10: serf's own vote would shut down a node
// that was moved to another address, before its former run is seen to have failed.
func serfConfig(o *Options, w *capacity, keys link.Secrets, counted *link.Traffic, claimed *claims, events chan<- serf.Event) (*serf.Config, *link.Transport, error) {
	host, port, err := splitAddress(o.Gossip)
	if err != nil {
		return nil, nil, err
	}
	m := memberlist.DefaultLANConfig()
	m.Name = o.Node
	m.Label = o.Cluster
	m.BindAddr, m.BindPort = host, port
	if o.Advertise != "" {
		ip, err := resolve(o.Advertise)
		if err != nil {
			return nil, nil, err
		}
		m.AdvertiseAddr, m.AdvertisePort = ip.String(), port
	}
	m.GossipInterval, m.GossipNodes, m.RetransmitMult = gossipInterval, gossipNodes, retransmitMult
	m.UDPBufferSize = w.packet
	m.EnableCompression = false
	m.TCPTimeout = 2 * time.Second
	m.PushPullInterval = 15 * time.Second
	m.DeadNodeReclaimTime = 10 * time.Second
	m.QueueCheckInterval = 5 * time.Second
	m.Alive = claimed // serf has none of its own but with a Merge delegate
	if len(keys) > 0 {
		all := keys.GossipKeys()
		if m.Keyring, err = memberlist.NewKeyring(all, all[0]); err != nil {
			return nil, nil, fmt.Errorf("use the secret for gossip: %w", err)
		}
	}
	c := serf.DefaultConfig()
	c.NodeName = o.Node
	c.MemberlistConfig = m
	c.Tags = map[string]string{wire.RegionTag: o.Region}
	c.EventCh = events
	c.EventBuffer = 64 // some seconds; members send each other all of it every PushPullInterval
	c.UserEventSizeLimit = min(w.room(1)+64, serfLimit)
	c.BroadcastTimeout = 2 * time.Second
	c.LeavePropagateDelay = 500 * time.Millisecond
	c.ReconnectInterval = 5 * time.Second
	c.QueueCheckInterval = 5 * time.Second
	c.EnableNameConflictResolution = false
	logger := log.New(link.NewLog(o.Logger), "", 0)
	c.Logger, m.Logger = logger, logger
	sockets, err := link.NewTransport(host, port, logger, counted)
	if err != nil {
		return nil, nil, err
	}
	m.Transport = sockets
	if o.wrap != nil {
		m.Transport = o.wrap(sockets)
	}
	return c, sockets, nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(address)
	if err == nil {
		port, err = net.LookupPort("tcp", service)
	}
	if err != nil {
		return "", 0, optionErrorf("gossip", "%s: want host:port, such as 127.0.0.1:7401", address)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	ip, err := resolve(host)
	if err != nil {
		return "", 0, err
	}
	return ip.String(), port, nil
}

func resolve(host string) (net.IP, error) {
	list, err := lookup(context.Background(), host)
	if err != nil {
		return nil, err
	}
	return list[0].AsSlice(), nil
}

// checkReach refuses addresses with which members could not reach each other, or
// with which more than members could.
func checkReach(o *Options, keys link.Secrets) error {
	host, _, err := splitAddress(o.Gossip)
	if err != nil {
		return err
	}
	for _, seed := range o.Join {
		h, service, err := net.SplitHostPort(seed)
		if err == nil {
			_, err = net.LookupPort("tcp", service)
		}
		if err != nil || h == "" {
			return optionErrorf("join", "%s: want host:port, such as 10.0.1.5:7401", seed)
		}
	}
	local := net.ParseIP(host).IsLoopback()
	if !local && len(keys) == 0 {
		return optionErrorf("gossip", "%s can be reached from other machines: it needs a secret", o.Gossip)
	}
	told := host
	if o.Advertise != "" {
		ip, err := resolve(o.Advertise)
		if err != nil {
			return err
		}
		if told = ip.String(); !ip.IsLoopback() && len(keys) == 0 {
			return optionErrorf("advertise", "%s is for other machines: it needs a secret", o.Advertise)
		}
	}
	toldIP := net.ParseIP(told)
	if !toldIP.IsLoopback() {
		if h, _, err := net.SplitHostPort(o.HTTPAddr); err == nil && net.ParseIP(h).IsLoopback() {
			return fmt.Errorf("members pull over HTTP, and %s cannot be reached from other machines: "+
				"serve them, or all, on an address of the network", o.HTTPAddr)
		}
		return nil
	}
	for _, seed := range o.Join {
		h, _, _ := net.SplitHostPort(seed)
		ips, err := o.lookup(context.Background(), h)
		if err == nil && slices.ContainsFunc(ips, func(ip netip.Addr) bool { return !ip.Unmap().IsLoopback() }) {
			return fmt.Errorf("members would be told to reach this node at %s, and %s is another machine: "+
				"gossip on an address of the network, or advertise one", told, seed)
		}
	}
	return nil
}

// httpAddress is where members reach this node over HTTP.
func httpAddress(o *Options, local net.IP) (string, error) {
	host, port, err := net.SplitHostPort(o.HTTPAddr)
	if err != nil {
		return "", fmt.Errorf("address for members: %w", err)
	}
	ip := net.ParseIP(host)
	switch {
	case o.Advertise != "":
		if ip, err = resolve(o.Advertise); err != nil {
			return "", err
		}
	case ip == nil || ip.IsUnspecified():
		ip = local
	}
	return net.JoinHostPort(ip.String(), port), nil
}

// peers is serf's list of members, in this program's words.
func peers(list []serf.Member) []wire.Peer {
	out := make([]wire.Peer, 0, len(list))
	for i := range list {
		if m := &list[i]; m.Status != serf.StatusNone {
			out = append(out, wire.ReadPeer(m.Name, m.Status.String(), m.Tags))
		}
	}
	return out
}

// queued is how many events wait to be gossiped.
func queued(s *serf.Serf) int {
	n, _ := strconv.Atoi(s.Stats()["event_queue"])
	return n
}

// Address is where this node gossips, for others to join.
func (c *Cluster) Address() string {
	m := c.serf.LocalMember()
	return net.JoinHostPort(m.Addr.String(), strconv.Itoa(int(m.Port)))
}
