package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestMerge: two clusters that become one have a node of one name each. The younger
// ends with status 3, and what it had acknowledged is with the members, as is all that
// the other goes on to count. It may be alone until then, or have members of its own.
func TestMerge(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprint("alone=", alone), func(t *testing.T) {
			t.Parallel()
			c := newProcessCluster(t)
			older, bridge := c.add("iad"), c.add("lhr")
			younger := c.add("iad")
			younger.join = []string{bridge.gossip}
			bridge.join = []string{older.gossip}
			if !alone {
				own := c.add("bom")
				own.join = []string{younger.gossip}
			}
			for _, m := range c.members {
				if m != bridge {
					m.start()
					m.await()
				}
			}
			stop := c.load()
			defer stop()
			eventually(t, 30*time.Second, "all count", func() bool {
				for _, m := range c.members {
					if m != bridge && m.booked().acknowledged < 300 {
						return false
					}
				}
				return true
			})
			bridge.start()
			began := time.Now()
			if status := younger.exits(60 * time.Second); status != 3 || !strings.Contains(younger.logged(), "another node of this name") {
				t.Errorf("the younger ends with status %d: %s", status, younger.logged())
			}
			took := time.Since(began)
			of := younger.booked()
			eventually(t, 30*time.Second, "the others go on", func() bool {
				return older.countedBy("iad") > of.acknowledged+older.booked().acknowledged/2 && bridge.countedBy("lhr") > 300
			})
			stop()
			all := c.booked()
			var left []*member
			for _, m := range c.members {
				if m != younger {
					left = append(left, m)
				}
			}
			c.members = left
			calls, agreed := c.agreeOn(30*time.Second, all.acknowledged, all.acknowledged+all.unanswered)
			t.Logf("the younger ended after %v with %+v of %+v; %d calls are on each, %v after the last", took.Round(time.Millisecond), of, all, calls, agreed.Round(time.Millisecond))
		})
	}
}
