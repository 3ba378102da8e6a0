package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
)

// Seeds are the addresses of members that are joined at the start, and again for as long
// as nobody is there. A seed may be a name of several nodes, this one among them: each of
// its addresses is one, and this node's own is none.

const (
	joinTimeout   = 3 * time.Second        // what a start waits for members to answer
	joinDial      = 2 * time.Second        // what a seed has for accepting a connection
	firstRejoin   = 250 * time.Millisecond // nodes are often started together
	rejoinEvery   = 5 * time.Second
	lookupTimeout = 3 * time.Second
	warnEvery     = time.Minute

	// maxSeedAddresses bounds those of one name: of more, some are tried each time.
	maxSeedAddresses = 64
)

var errOwnSeed = errors.New("the seeds are this node alone")

// lookup returns all addresses of a host, which may be an address itself.
func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", host, err)
	}
	for i := range list {
		list[i] = list[i].Unmap()
	}
	return list, nil
}

// joinSeeds joins the seeds, as far as they answer in time.
func (c *Cluster) joinSeeds(ctx context.Context) {
	if len(c.options.Join) == 0 {
		return
	}
	joined := make(chan error, 1)
	c.tasks.Go(func() { joined <- c.joinMissing() })
	select {
	case err := <-joined:
		if err != nil {
			c.log.Warn("no member could be joined yet", "join", strings.Join(c.options.Join, ","), "error", err)
		}
	case <-time.After(joinTimeout):
		c.log.Warn("members have not answered yet", "join", strings.Join(c.options.Join, ","))
	case <-ctx.Done():
	}
}

// joinMissing joins those addresses of seeds that no running member is at.
func (c *Cluster) joinMissing() (err error) {
	others := false
	var missing []netip.AddrPort
	for _, seed := range c.options.Join {
		addresses, lerr := c.addressesOf(seed)
		err = errors.Join(err, lerr)
		others = others || lerr != nil || len(addresses) > 0
		for _, address := range addresses {
			if c.life.Err() != nil {
				return err
			}
			if !atAnyMember(c.serf.Members(), address) {
				missing = append(missing, address)
			}
		}
	}
	c.ownSeed.Store(!others)
	return errors.Join(err, c.join(missing))
}

// join joins addresses. serf does that one after another, so each is reached first: those
// at which nobody is do not hold up the others.
func (c *Cluster) join(list []netip.AddrPort) error {
	errs := make([]error, len(list))
	var joining sync.WaitGroup
	for i, address := range list {
		joining.Go(func() {
			at := address.String()
			defer c.sockets.Unreach(at)
			if errs[i] = c.sockets.Reach(c.life, at, joinDial); errs[i] == nil && !atAnyMember(c.serf.Members(), address) {
				_, errs[i] = c.serf.Join([]string{at}, true)
			}
		})
	}
	joining.Wait()
	return errors.Join(errs...)
}

// addressesOf returns the addresses of a seed but this node's own.
func (c *Cluster) addressesOf(seed string) (list []netip.AddrPort, err error) {
	host, service, err := net.SplitHostPort(seed)
	if err != nil {
		return nil, err
	}
	port, err := net.LookupPort("tcp", service)
	if err != nil {
		return nil, err
	}
	ips, err := c.options.lookup(c.life, host)
	if err != nil {
		return nil, err
	}
	for _, ip := range ips {
		if at := netip.AddrPortFrom(ip, uint16(port)); !c.isOwn(at) {
			list = append(list, at)
		}
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(len(list), maxSeedAddresses)], nil
}

// isOwn reports whether this node gossips at an address: the one that members are told,
// or any of this machine if it listens on all.
func (c *Cluster) isOwn(at netip.AddrPort) bool {
	local := c.serf.LocalMember()
	if local.Port == at.Port() && local.Addr.Equal(at.Addr().AsSlice()) {
		return true
	}
	host, service, err := net.SplitHostPort(c.options.Gossip)
	if err != nil || service != strconv.Itoa(int(at.Port())) {
		return false
	}
	bound, err := netip.ParseAddr(host)
	if host != "" && (err != nil || !bound.IsUnspecified()) {
		return err == nil && bound.Unmap() == at.Addr()
	}
	machine, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(machine, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(at.Addr().AsSlice())
	})
}

// atAnyMember reports whether a running member has an address.
func atAnyMember(list []serf.Member, at netip.AddrPort) bool {
	return slices.ContainsFunc(list, func(m serf.Member) bool {
		return m.Status == serf.StatusAlive && m.Port == at.Port() && m.Addr.Equal(at.Addr().AsSlice())
	})
}

// rejoin joins seeds that are missing, beside the loop.
func (c *Cluster) rejoin() {
	if len(c.options.Join) == 0 || c.rejoining.Swap(true) {
		return
	}
	c.tasks.Go(func() {
		defer c.rejoining.Store(false)
		err := c.joinMissing()
		warn := c.bulletin().size == 1 && time.Since(c.warned) > warnEvery
		if warn {
			c.warned = time.Now()
		}
		switch {
		case warn:
			if err == nil {
				err = errOwnSeed
			}
			c.log.Warn("no other member is here: they do not run, or have another cluster name or secret", "error", err)
		case err != nil:
			c.log.Debug("seeds are missing", "error", err)
		}
	})
}
