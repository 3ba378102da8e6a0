package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

func newNetwork(t *testing.T, size int) *network {
	t.Helper()
	privileged(t)
	n := &network{t: t, prefix: fmt.Sprintf("r%d", os.Getpid()), base: fmt.Sprintf("198.18.%d", os.Getpid()%256)}
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

// TestPartition cuts a member off while all are under load. Both sides go on and
// mark what they miss; after the heal all have everything.
func TestPartition(t *testing.T) {
	t.Parallel()
	net := newNetwork(t, 3)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of sixteen or more bytes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newProcessCluster(t)
	for i, name := range []string{"iad", "lhr", "bom"} {
		m := c.add(name, "--secret-file", secret, "--insecure")
		m.prefix = []string{"ip", "netns", "exec", net.namespace[i]}
		m.bind, m.http, m.gossip = "0.0.0.0:7400", net.oracleAddress(i)+":7400", net.address(i)+":7401"
	}
	c.start()
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
	stop()
	if total, err := lone.total(); err != nil || total >= c.booked().acknowledged {
		t.Errorf("the member that is cut off has %d calls of %d: %v", total, c.booked().acknowledged, err)
	}
	length := time.Since(began)
	net.heal(2)
	const patience = 10 * time.Second
	calls, took := c.agree(30 * time.Second)
	if took > patience {
		t.Errorf("all agree %v after the heal, want %v", took, patience)
	}
	c.whole()
	t.Logf("%v apart: %d calls on each, %+v booked; agreed %v after the heal", length.Round(time.Millisecond), calls, c.booked(), took.Round(time.Millisecond))
}
