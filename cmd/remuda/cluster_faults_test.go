package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var faultSeed = flag.Uint64("faults.seed", 0, "seed of the random faults of five members; 0 takes another each time")

// TestRandomFaults kills members of five and parts them, at random and under load: kill
// -9 with a return at once or later, pairs that lose UDP, TCP or both between them, one
// that is cut off from all, and heals of any of that. Nobody ends by itself, and in the
// end all agree and have all but what a kill took with it.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	seed := *faultSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("the faults are those of -faults.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	names := []string{"iad", "lhr", "bom", "nrt", "sjc"}
	network := newNetwork(t, len(names))
	c := startNetworkCluster(t, network, names...)
	stop := c.load()
	defer stop()
	for _, m := range c.members {
		eventually(t, 30*time.Second, "there is something of "+m.name, func() bool { return c.members[0].countedBy(m.name) > 100 })
	}

	lost := make(map[*member]uint64) // at most, of what it acknowledged
	back := make(map[*member]time.Time)
	cut := make(map[int]bool)
	kill := func(victim *member) {
		kept := make(map[*member]uint64) // the most that one of those that run has of it
		for _, other := range c.members {
			if other == victim || !back[other].IsZero() {
				continue
			}
			_, calls, err := other.rows("/api/v1/nodes")
			if err != nil {
				t.Fatalf("ask %s for what it has: %v", other.name, err)
			}
			for _, m := range c.members {
				kept[m] = max(kept[m], calls[m.name])
			}
		}
		victim.kill()
		for _, m := range c.members {
			if of := m.booked().acknowledged; of > kept[m] {
				lost[m] = max(lost[m], of-kept[m])
			}
		}
	}
	revive := func(m *member) {
		delete(back, m)
		m.start()
		m.await()
	}
	fault := func() string {
		i, j := rng.IntN(len(names)), rng.IntN(len(names)-1)
		if j >= i {
			j++
		}
		m := c.members[i]
		switch kind := rng.IntN(8); {
		case kind < 2 && back[m].IsZero() && len(back) < 2:
			kill(m)
			revive(m)
			return m.name + " is killed and back"
		case kind == 2 && back[m].IsZero() && len(back) < 2:
			kill(m)
			back[m] = time.Now().Add(time.Duration(1+rng.IntN(8)) * time.Second)
			return m.name + " is killed"
		case kind < 6:
			protocols := [][]string{{"udp"}, {"tcp"}, {"udp", "tcp"}}[rng.IntN(3)]
			for _, protocol := range protocols {
				network.drops(i, j, protocol)
			}
			return fmt.Sprint(m.name, " and ", names[j], " lose ", protocols)
		case kind == 6 && !cut[i] && len(cut) < 2:
			cut[i] = true
			network.cut(i)
			return m.name + " is cut off"
		}
		network.dropsNothing()
		for i := range cut {
			network.heal(i)
		}
		clear(cut)
		return "all is healed"
	}
	began := time.Now()
	next := time.NewTimer(0)
	defer next.Stop()
	const length = 40 * time.Second
	for time.Since(began) < length {
		<-next.C
		at := time.Since(began)
		t.Logf("%v: %s", at.Round(100*time.Millisecond), fault())
		for _, m := range c.members {
			if due := back[m]; !due.IsZero() && time.Now().After(due) {
				revive(m)
				t.Logf("%v: %s is back", time.Since(began).Round(100*time.Millisecond), m.name)
			}
			if !back[m].IsZero() {
				continue
			}
			select {
			case <-m.ended:
				t.Fatalf("%s ended by itself: %v", m.name, m.process.ProcessState)
			default:
			}
		}
		next.Reset(time.Duration(200+rng.IntN(2500)) * time.Millisecond)
	}
	network.dropsNothing()
	for i := range cut {
		network.heal(i)
	}
	for _, m := range c.members {
		if !back[m].IsZero() {
			revive(m)
		}
	}
	c.whole()
	stop()
	all := c.booked()
	least := all.acknowledged
	for _, n := range lost {
		least -= n
	}
	calls, took := c.agreeOn(30*time.Second, least, all.acknowledged+all.unanswered)
	for _, m := range c.members {
		select {
		case <-m.ended:
			t.Errorf("%s ended by itself: %v", m.name, m.process.ProcessState)
		default:
		}
	}
	t.Logf("%d calls on each, %+v booked, at least %d; agreed %v after the last event", calls, all, least, took.Round(time.Millisecond))
}
