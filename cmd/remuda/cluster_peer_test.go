package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// status asks for a path at an address, as a member of a cluster without a secret does.
func (c *processCluster) status(address, path string) int {
	c.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Remuda-Cluster", "t")
	answer, err := c.reader.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// TestPeerHTTP: members that have a listener for each other pull there, and nowhere
// else is anything of that served, and there nothing else is. What does not fit into
// gossip arrives, and so does the last of one that ends.
func TestPeerHTTP(t *testing.T) {
	t.Parallel()
	c := newProcessCluster(t)
	peer := make(map[*member]string)
	for _, name := range []string{"iad", "lhr", "bom"} {
		address := freeAddress(t)
		peer[c.add(name, "--peer-http", address)] = address
	}
	c.start()
	for _, m := range c.members {
		m.providers = 999
		for _, other := range c.members {
			if s := m.view()[other.name]; s.HTTPAddr != peer[other] {
				t.Errorf("%s is told to ask %s at %s, want %s", m.name, other.name, s.HTTPAddr, peer[other])
			}
		}
		for where, want := range map[string]int{
			m.http + " /internal/v1/decisions":   http.StatusNotFound,
			peer[m] + " /internal/v1/decisions":  http.StatusOK,
			m.http + " /internal/v1/state":       http.StatusNotFound,
			peer[m] + " /internal/v1/state":      http.StatusBadRequest,
			peer[m] + " /api/v1/providers":       http.StatusNotFound,
			peer[m] + " /metrics":                http.StatusNotFound,
			m.http + " /internal/v1/nosuch":      http.StatusNotFound,
			m.http + " /internal/../internal/v1": http.StatusNotFound,
		} {
			address, path, _ := strings.Cut(where, " ")
			if got := c.status(address, path); got != want {
				t.Errorf("GET %s of %s: status %d, want %d", path, address, got, want)
			}
		}
		m.post(3000)
	}
	c.agree(30 * time.Second)
	leaves := c.members[2]
	leaves.post(3000)
	leaves.drains()
	all := c.booked()
	c.members = c.members[:2]
	calls, took := c.agreeOn(10*time.Second, all.acknowledged, all.acknowledged)
	t.Logf("%d calls on each that is left, %v after the third has ended", calls, took.Round(time.Millisecond))
}

// TestPublicOnLoopback: nodes of different machines whose public listener is for their
// own machine alone are one cluster.
func TestPublicOnLoopback(t *testing.T) {
	t.Parallel()
	network := newNetwork(t, 2)
	c := newNetworkCluster(t, network, "iad", "lhr")
	for i, m := range c.members {
		m.bind = network.oracleAddress(i) + ":7400" // which no other member reaches
		m.flags = append(m.flags, "--peer-http", network.address(i)+":7402")
		m.providers = 999
	}
	c.start()
	for _, m := range c.members {
		m.post(3000)
	}
	calls, took := c.agree(30 * time.Second)
	t.Logf("%d calls on each after %v", calls, took.Round(time.Millisecond))
}

// TestSecretForOthers: a secret that others may read is warned about.
func TestSecretForOthers(t *testing.T) {
	t.Parallel()
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o644: true, 0o620: true} {
		secret := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(secret, []byte("a secret of sixteen or more bytes\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		m := newProcessCluster(t).add("iad", "--secret-file", secret)
		m.start()
		m.await()
		if text := m.logged(); strings.Contains(text, "chmod 600") != warned {
			t.Errorf("with mode %v the log says %s", mode, text)
		}
		m.drains()
	}
}
