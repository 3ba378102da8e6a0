package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A network is some network namespaces, each with a link to a switch that is a
// namespace of its own, and another to this one: the oracle reaches a member that
// is cut off from the others.
type network struct {
	t         *testing.T
	prefix    string // of names; links have 15 characters at most
	base      string // first three bytes of addresses
	switchOf  string
	namespace []string
}

// networks counts those of this process, sixteen at most: they have addresses of
// their own.
var networks atomic.Int32

func newNetwork(t *testing.T, size int) *network {
	t.Helper()
	privileged(t)
	serial := int(networks.Add(1))
	n := &network{
		t: t, prefix: fmt.Sprintf("r%d%c", os.Getpid(), 'a'+rune(serial)),
		base: fmt.Sprintf("198.%d.%d", 18+os.Getpid()/16%2, (16*os.Getpid()+serial)%256),
	}
	n.switchOf = n.prefix + "s"
	n.addNamespace(n.switchOf)
	n.ip("-n", n.switchOf, "link", "add", "switch", "type", "bridge")
	n.ip("-n", n.switchOf, "link", "set", "switch", "up")
	for i := range size {
		space := fmt.Sprint(n.prefix, "n", i)
		n.namespace = append(n.namespace, space)
		n.addNamespace(space)
		n.ip("link", "add", n.port(i), "netns", n.switchOf, "type", "veth", "peer", "name", "eth0", "netns", space)
		n.ip("-n", n.switchOf, "link", "set", n.port(i), "master", "switch", "up")
		n.ip("-n", space, "address", "add", n.address(i)+"/25", "dev", "eth0")
		n.ip("-n", space, "link", "set", "lo", "up")
		n.ip("-n", space, "link", "set", "eth0", "up")
		mine := fmt.Sprint(n.prefix, "o", i)
		n.ip("link", "add", mine, "type", "veth", "peer", "name", "oracle", "netns", space)
		n.ip("address", "add", fmt.Sprintf("%s.%d/30", n.base, 128+4*i+1), "dev", mine)
		n.ip("-n", space, "address", "add", n.oracleAddress(i)+"/30", "dev", "oracle")
		n.ip("link", "set", mine, "up")
		n.ip("-n", space, "link", "set", "oracle", "up")
	}
	return n
}

func (n *network) address(i int) string       { return fmt.Sprintf("%s.%d", n.base, i+1) }
func (n *network) oracleAddress(i int) string { return fmt.Sprintf("%s.%d", n.base, 128+4*i+2) }
func (n *network) port(i int) string          { return fmt.Sprint("port", i) }

func (n *network) ip(args ...string) {
	n.t.Helper()
	command(n.t, "ip", args...)
}

func (n *network) addNamespace(name string) {
	n.t.Helper()
	n.ip("netns", "add", name)
	n.t.Cleanup(func() { // the links in it go with it
		if out, err := exec.Command("ip", "netns", "delete", name).CombinedOutput(); err != nil {
			n.t.Errorf("delete namespace %s: %v: %s", name, err, out)
		}
	})
}

// cut takes a member off the switch, in both directions, TCP and UDP.
func (n *network) cut(i int) { n.ip("-n", n.switchOf, "link", "set", n.port(i), "nomaster") }

func (n *network) heal(i int) { n.ip("-n", n.switchOf, "link", "set", n.port(i), "master", "switch") }

// drops lets the members a and b lose, in both directions, what they send each
// other of a protocol: tcp or udp.
func (n *network) drops(a, b int, protocol string) {
	n.t.Helper()
	for _, pair := range [][2]int{{a, b}, {b, a}} {
		// The rules do not end what is established: it hangs, as with a broken network.
		n.nft(pair[0], "add table inet fault; "+
			"add chain inet fault input { type filter hook input priority 0; }; "+
			"add rule inet fault input ip saddr "+n.address(pair[1])+" meta l4proto "+protocol+" drop")
	}
}

// dropsNothing ends what drops began.
func (n *network) dropsNothing() {
	n.t.Helper()
	for i := range n.namespace {
		n.nft(i, "add table inet fault; delete table inet fault")
	}
}

func (n *network) nft(i int, rules string) {
	n.t.Helper()
	command(n.t, "ip", "netns", "exec", n.namespace[i], "nft", rules)
}

// startNetworkCluster starts members that gossip in a network, and are posted to
// and read beside it.
func startNetworkCluster(t *testing.T, net *network, names ...string) *processCluster {
	t.Helper()
	c := newNetworkCluster(t, net, names...)
	c.start()
	return c
}

// newNetworkCluster is the same before they are started.
func newNetworkCluster(t *testing.T, net *network, names ...string) *processCluster {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of sixteen or more bytes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newProcessCluster(t)
	for i, name := range names {
		m := c.add(name, "--secret-file", secret, "--insecure")
		m.prefix = []string{"ip", "netns", "exec", net.namespace[i]}
		m.bind, m.http, m.gossip = "0.0.0.0:7400", net.oracleAddress(i)+":7400", net.address(i)+":7401"
	}
	return c
}

// agreeHealed ends the load, heals, and wants all members to be exact soon.
func (c *processCluster) agreeHealed(stop, heal func()) {
	c.t.Helper()
	const patience = 20 * time.Second // ten on a machine that does nothing else, which is what simulations hold it to
	stop()
	heal()
	calls, took := c.agree(30 * time.Second)
	if took > patience {
		c.t.Errorf("all agree %v after the heal, want %v", took, patience)
	}
	of := c.booked()
	if of.acknowledged == 0 || of.acknowledged != calls || of.unanswered+of.refused > 0 {
		c.t.Errorf("%d calls on each of %+v", calls, of)
	}
	c.whole()
	c.t.Logf("%d calls on each, %+v booked; agreed %v after the heal", calls, of, took.Round(time.Millisecond))
}

// TestPartition cuts a member off while all are under load. Both sides go on and
// mark what they miss; after the heal all have everything.
func TestPartition(t *testing.T) {
	t.Parallel()
	net := newNetwork(t, 3)
	c := startNetworkCluster(t, net, "iad", "lhr", "bom")
	lone, rest := c.members[2], c.members[:2]
	stop := c.load()
	defer stop()
	for _, m := range rest {
		eventually(t, 30*time.Second, "there is something of it", func() bool { return m.countedBy(lone.name) > 100 })
	}

	net.cut(2)
	began := time.Now()
	for _, m := range rest {
		eventually(t, 60*time.Second, m.name+" sees that it has failed", func() bool {
			s := m.view()[lone.name]
			return s.Stale && s.State == "failed"
		})
		eventually(t, 60*time.Second, "it sees that "+m.name+" has failed", func() bool {
			s := lone.view()[m.name]
			return s.Stale && s.State == "failed"
		})
	}
	missing := rest[0].countedBy(lone.name)
	eventually(t, 30*time.Second, "it counts alone", func() bool { return lone.countedBy(lone.name) > missing+100 })
	if now := rest[1].countedBy(lone.name); now != missing {
		t.Errorf("%d calls of it are with %s and %d with %s, of all that is cut off", missing, rest[0].name, now, rest[1].name)
	}
	if total, err := lone.total(); err != nil || total >= c.booked().acknowledged {
		t.Errorf("the member that is cut off has %d calls of %d: %v", total, c.booked().acknowledged, err)
	}
	t.Logf("%v apart", time.Since(began).Round(time.Millisecond))
	c.agreeHealed(stop, func() { net.heal(2) })
}

// TestPartialCut: members that cannot reach each other by UDP, by TCP, or at all
// while others reach both (a bridge), go on. What one counts is with the others
// meanwhile if there is any way, and after the heal in any case.
func TestPartialCut(t *testing.T) {
	t.Parallel()
	type pairs [][2]int
	for _, test := range []struct {
		name      string
		cut       pairs
		protocols string
		providers int  // of events; what members show of them fits one answer
		passes    bool // counts, across the cut
	}{
		{"UDP", pairs{{0, 2}, {1, 2}}, "udp", 23, true},
		{"TCP, and all is inline", pairs{{0, 2}, {1, 2}}, "tcp", 23, true},
		{"TCP, and nothing is inline", pairs{{0, 2}, {1, 2}}, "tcp", 999, false},
		{"bridge", pairs{{0, 2}}, "tcp udp", 23, true},
		{"bridge, and nothing is inline", pairs{{0, 2}}, "tcp udp", 999, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			net := newNetwork(t, 3)
			c := startNetworkCluster(t, net, "iad", "lhr", "bom")
			for _, m := range c.members {
				m.providers = test.providers
			}
			stop := c.load()
			defer stop()
			apart := func(what string, holds func(a, b *member) bool) time.Duration {
				return eventually(t, time.Minute, what, func() bool { // a second, and far more where all processors are taken
					for _, pair := range test.cut {
						a, b := c.members[pair[0]], c.members[pair[1]]
						if !holds(a, b) || !holds(b, a) {
							return false
						}
					}
					return true
				})
			}
			apart("there is something to miss", func(a, b *member) bool { return a.countedBy(b.name) > 100 })
			for _, pair := range test.cut {
				for protocol := range strings.FieldsSeq(test.protocols) {
					net.drops(pair[0], pair[1], protocol)
				}
			}
			began := time.Now()
			sent := c.booked()
			if test.passes {
				for range 3 { // rounds: it goes on
					counted := make(map[*member]uint64)
					for _, m := range c.members {
						counted[m] = m.booked().acknowledged
					}
					took := apart("what was counted passes the cut", func(a, b *member) bool { return a.countedBy(b.name) >= counted[b] })
					t.Logf("what was counted passed the cut after %v", took.Round(time.Millisecond))
				}
			} else {
				apart("they see that something is missing", func(a, b *member) bool { return a.view()[b.name].Stale })
			}
			eventually(t, 30*time.Second, "there is something that came meanwhile", func() bool {
				return time.Since(began) > 6*time.Second && c.booked().acknowledged > sent.acknowledged+500
			})
			for _, m := range c.members {
				for name, s := range m.view() {
					t.Logf("cut for %v: to %s, %s is %s, stale: %v", time.Since(began).Round(time.Second), m.name, name, s.State, s.Stale)
				}
			}
			c.agreeHealed(stop, net.dropsNothing)
		})
	}
}

// TestFlapping cuts a member off for 2 s, again and again, under load.
func TestFlapping(t *testing.T) {
	t.Parallel()
	net := newNetwork(t, 3)
	c := startNetworkCluster(t, net, "iad", "lhr", "bom")
	lone := c.members[2]
	stop := c.load()
	defer stop()
	eventually(t, 30*time.Second, "there is something of it", func() bool { return c.members[0].countedBy(lone.name) > 100 })
	flap := time.NewTicker(2 * time.Second)
	defer flap.Stop()
	for range 5 {
		net.cut(2)
		<-flap.C
		net.heal(2)
		<-flap.C
	}
	net.cut(2)
	<-flap.C
	c.agreeHealed(stop, func() { net.heal(2) })
}
