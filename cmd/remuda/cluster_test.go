package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKillUnderLoad kills a member ten times under load and starts it again at once.
// Of what it acknowledged only that is lost which had not reached another member.
func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "iad", "lhr", "bom")
	a, victim, other := c.members[0], c.members[1], c.members[2]
	stop := c.load()
	defer stop()

	var kept, longest, before, restarted uint64
	for i := range 10 {
		grown := a.countedBy(victim.name) + 40
		eventually(t, 30*time.Second, fmt.Sprint("counts of run ", i, " arrive"), func() bool { return a.countedBy(victim.name) >= grown })
		later := victim.booked().acknowledged + rand.Uint64N(100) // somewhere between two ticks
		eventually(t, 30*time.Second, "it is under load", func() bool { return victim.booked().acknowledged >= later })
		kept = max(a.countedBy(victim.name), other.countedBy(victim.name))
		began := time.Now()
		victim.kill()
		restarted = victim.booked().acknowledged
		victim.start()
		longest = max(longest, uint64(time.Since(began).Milliseconds()))
		victim.await()
		switch now, err := a.total(); {
		case err != nil:
			t.Error(err)
		case now < before:
			t.Errorf("%d calls became %d", before, now)
		default:
			before = now
		}
	}
	c.whole()
	stop()
	of, all := victim.booked(), c.booked()
	// What the others had of it before the last kill holds all that was left of the
	// runs before.
	least := all.acknowledged - of.acknowledged + kept + of.acknowledged - restarted
	calls, took := c.agreeOn(30*time.Second, least, all.acknowledged+all.unanswered)
	if others := all.unanswered - of.unanswered; others > 0 {
		t.Errorf("members that run have not answered for %d events", others)
	}
	t.Logf("acknowledged %d, without an answer %d; at least %d, counted %d on each, lost %d in ten kills; longest until the start of a process %d ms; agreed %v after the last event",
		all.acknowledged, all.unanswered, least, calls, int64(all.acknowledged)-int64(calls), longest, took.Round(time.Millisecond))
}

// TestFreeze: a member that is frozen is stale for the others, and nothing is
// missing once it goes on. After 90 s nothing is left at it of what tells a delta
// from the sums that it made before.
func TestFreeze(t *testing.T) {
	t.Parallel()
	lengths := []time.Duration{3 * time.Second, 20 * time.Second, 90 * time.Second}
	if testing.Short() {
		lengths = lengths[:1]
	}
	for _, length := range lengths {
		t.Run(length.String(), func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, "iad", "lhr", "bom")
			frozen := c.members[2]
			stop := c.load()
			defer stop()
			eventually(t, 30*time.Second, "there is something of it", func() bool { return c.members[0].countedBy(frozen.name) > 100 })
			thaw := time.NewTimer(length)
			defer thaw.Stop()
			frozen.signal(syscall.SIGSTOP)
			for _, m := range c.members[:2] {
				eventually(t, 30*time.Second, m.name+" sees that it is stale", func() bool { return m.view()[frozen.name].Stale })
			}
			<-thaw.C
			counted := c.members[0].countedBy(frozen.name)
			if counted == 0 {
				t.Error("what it had counted is gone")
			}
			frozen.signal(syscall.SIGCONT)
			c.whole()
			eventually(t, 30*time.Second, "it is heard again", func() bool { return c.members[0].countedBy(frozen.name) > counted+40 })
			stop()
			calls, took := c.agree(30 * time.Second)
			t.Logf("%d calls on each, %+v booked; agreed %v after the last event", calls, c.booked(), took.Round(time.Millisecond))
		})
	}
}

// TestTwoOwners: of two processes with one name the younger ends with status 3,
// and the older goes on, also when it had another run before.
func TestTwoOwners(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "iad", "lhr")
	older := c.members[1]
	older.post(500)
	c.agree(30 * time.Second)
	older.kill() // so that there is a former run of that name too
	older.start()
	older.await()
	c.whole()

	younger := c.add(older.name)
	c.members = c.members[:2]
	younger.join = []string{c.members[0].gossip}
	began := time.Now()
	younger.start()
	if status := younger.exits(60 * time.Second); status != 3 {
		t.Errorf("the younger ends with status %d", status)
	}
	took := time.Since(began)
	if !strings.Contains(younger.logged(), "another node of this name") {
		t.Errorf("the younger does not say why: %s", younger.logged())
	}
	older.post(500)
	calls, agreed := c.agree(30 * time.Second)
	if calls != 1000 {
		t.Errorf("%d calls, want 1000", calls)
	}
	t.Logf("the younger ended after %v; the older's next counts were with the other after %v", took.Round(time.Millisecond), agreed.Round(time.Millisecond))
}

// TestNewAddress: a name that moves to another address after kill -9 is counted
// within a minute, and what the others had of it stays.
func TestNewAddress(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "iad", "lhr", "bom")
	for _, m := range c.members {
		m.post(400)
	}
	c.agree(30 * time.Second)
	moved := c.members[2]
	moved.kill()
	moved.http, moved.gossip = freeAddress(t), freeAddress(t)
	moved.start()
	moved.await()
	moved.post(300)
	calls, took := c.agree(60 * time.Second)
	if calls != 1500 {
		t.Errorf("%d calls, want 1500", calls)
	}
	known := eventually(t, 60*time.Second, "the others know its address", func() bool {
		for _, m := range c.members {
			if s := m.view()[moved.name]; s.State != "alive" || s.Stale || s.HTTPAddr != moved.http {
				return false
			}
		}
		return true
	})
	t.Logf("counted by all %v after it was posted at the new address, which all knew %v later", took.Round(time.Millisecond), known.Round(time.Millisecond))
}

// TestRollingRestart ends and starts all members under load, one after the other:
// nothing that was acknowledged is missing, and nothing else is counted.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "iad", "lhr", "bom")
	stop := c.load()
	defer stop()
	for _, m := range c.members {
		counted := m.countedBy(m.name)
		eventually(t, 30*time.Second, "there is something to lose", func() bool { return m.countedBy(m.name) > counted+40 })
		began := time.Now()
		m.drains()
		took := time.Since(began)
		m.start()
		m.await()
		c.whole()
		t.Logf("%s drained in %v, and was back %v later", m.name, took.Round(time.Millisecond), (time.Since(began) - took).Round(time.Millisecond))
	}
	stop()
	all := c.booked()
	calls, took := c.agreeOn(30*time.Second, all.acknowledged, all.acknowledged)
	t.Logf("%d calls on each, %+v booked; agreed %v after the last event", calls, all, took.Round(time.Millisecond))

	out, err := exec.Command("remuda", "members", "http://"+c.members[0].http).CombinedOutput()
	if err != nil {
		t.Fatalf("members: %v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, m := range c.members {
		found := 0
		for _, line := range lines[1:] {
			if fields := strings.Fields(line); len(fields) > 0 && fields[0] == m.name && strings.Contains(line, m.http) {
				found++
			}
		}
		if found != 1 || len(lines) != 1+len(c.members) {
			t.Errorf("members prints %d lines for %s:\n%s", found, m.name, out)
		}
	}
}

// TestDataDirs: windows come back after the whole cluster was stopped, and as they
// were at the last checkpoint after it was killed.
func TestDataDirs(t *testing.T) {
	t.Parallel()
	c := newProcessCluster(t)
	for _, name := range []string{"iad", "lhr", "bom"} {
		c.add(name, "--data-dir", filepath.Join(t.TempDir(), "data"))
	}
	c.start()
	for _, m := range c.members {
		m.post(700)
	}
	stopped, _ := c.agree(30 * time.Second)
	first := c.members[0].view()
	for _, m := range c.members {
		m.signal(syscall.SIGTERM)
	}
	for _, m := range c.members {
		if status := m.exits(10 * time.Second); status != 0 {
			t.Errorf("%s ends with status %d", m.name, status)
		}
	}
	again := func() {
		for _, m := range c.members {
			m.start()
		}
		for _, m := range c.members {
			m.await()
		}
		c.whole()
	}
	again()
	calls, took := c.agreeOn(30*time.Second, 2100, 2100)
	t.Logf("%d calls before SIGTERM of all, %d after the start, alike on each %v later", stopped, calls, took.Round(time.Millisecond))
	second := c.members[0].view()

	for _, m := range c.members {
		m.post(100)
	}
	c.agree(30 * time.Second)
	for _, m := range c.members {
		m.signal(syscall.SIGKILL)
	}
	for _, m := range c.members {
		<-m.ended
	}
	again()
	calls, took = c.agreeOn(30*time.Second, 2100, 2400)
	t.Logf("%d calls before kill -9 of all, %d after the start, alike on each %v later", 2400, calls, took.Round(time.Millisecond))
	for name, s := range c.members[0].view() {
		if first[name].Incarnation >= second[name].Incarnation || second[name].Incarnation >= s.Incarnation {
			t.Errorf("the runs of %s are %d, %d and %d", name, first[name].Incarnation, second[name].Incarnation, s.Incarnation)
		}
	}
}

// TestClocksOff: of three members one has a clock an hour ahead and one an hour
// behind. All count the same, and go on so when one comes back with its clock set right:
// its run is newer than the one before all the same.
func TestClocksOff(t *testing.T) {
	t.Parallel()
	c := newProcessCluster(t)
	right, ahead, behind := c.add("iad"), c.add("lhr"), c.add("bom", "--data-dir", filepath.Join(t.TempDir(), "data"))
	ahead.clock, behind.clock = time.Hour, -time.Hour
	c.start()
	stop := c.load()
	defer stop()
	for _, m := range c.members {
		eventually(t, 30*time.Second, "there is something of "+m.name, func() bool { return right.countedBy(m.name) > 200 })
	}
	stop()
	calls, took := c.agree(30 * time.Second)
	for name, want := range map[string]int64{ahead.name: 3_600_000, behind.name: -3_600_000} {
		s := right.view()[name]
		if s.ClockSkewMillis == nil || *s.ClockSkewMillis < want-3000 || *s.ClockSkewMillis > want+3000 {
			t.Errorf("the clock of %s is told as %v ms off, want %d", name, s.ClockSkewMillis, want)
		}
	}
	t.Logf("%d calls on each, %+v booked; agreed %v after the last event", calls, c.booked(), took.Round(time.Millisecond))

	for _, m := range []*member{ahead, behind} {
		before := right.view()[m.name].Incarnation
		m.drains()
		m.clock = 0
		m.start()
		m.await()
		c.whole()
		if now := right.view()[m.name].Incarnation; now <= before {
			t.Errorf("after run %d of %s comes %d", before, m.name, now)
		}
		m.post(100)
	}
	calls, took = c.agree(30 * time.Second)
	t.Logf("clocks set right: %d calls on each; agreed %v after the last event", calls, took.Round(time.Millisecond))
}

// TestDataDirUnusable: a directory that cannot be used is an error at the start.
func TestDataDirUnusable(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := newProcessCluster(t).add("iad", "--data-dir", filepath.Join(file, "data"))
	m.start()
	if status, text := m.exits(30*time.Second), m.logged(); status != 1 || !strings.Contains(text, "--data-dir") || !strings.Contains(text, file) {
		t.Errorf("status %d: %s", status, text)
	}

	mount := mountTmpfs(t)
	command(t, "mount", "-o", "remount,ro", mount)
	m = newProcessCluster(t).add("lhr", "--data-dir", mount)
	m.start()
	if status, text := m.exits(30*time.Second), m.logged(); status != 1 || !strings.Contains(text, "--data-dir") || !strings.Contains(text, "read-only") {
		t.Errorf("status %d: %s", status, text)
	}
}

// TestDamagedCheckpoint: one that is damaged is kept aside with the reason in the log,
// and the member starts without; the members have what it had.
func TestDamagedCheckpoint(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	c := newProcessCluster(t)
	c.add("iad")
	m := c.add("lhr", "--data-dir", data)
	c.start()
	m.post(300)
	c.agree(30 * time.Second)
	m.drains()
	file := filepath.Join(data, "checkpoint")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	m.start()
	m.await()
	c.whole()
	if calls, _ := c.agree(30 * time.Second); calls != 300 {
		t.Errorf("%d calls, want 300", calls)
	}
	if aside, err := os.ReadFile(file + ".refused"); err != nil || !bytes.Equal(aside, content) {
		t.Errorf("what was refused is not kept: %d bytes, %v", len(aside), err)
	}
	if text := m.logged(); !strings.Contains(text, "checkpoint is not used") || !strings.Contains(text, "checksum") {
		t.Errorf("the log says %s", text)
	}
}

// TestDiskFull: a node whose last checkpoint does not fit ends with status 1, having
// drained all the same. The one before stays.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	mount := mountTmpfs(t)
	m := newProcessCluster(t).add("iad", "--data-dir", mount)
	m.start()
	m.await()
	m.post(200)
	m.drains()
	m.start()
	m.await()
	m.post(200)
	filler, err := os.Create(filepath.Join(mount, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	_ = filler.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk does not fill: %v", err)
	}
	m.signal(syscall.SIGTERM)
	if status := m.exits(10 * time.Second); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if text := m.logged(); !strings.Contains(text, "drained") || !strings.Contains(text, "the checkpoint could not be written") || !strings.Contains(text, "no space left") {
		t.Errorf("the log says %s", text)
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	m.start()
	m.await()
	if calls, err := m.total(); calls != 200 || err != nil {
		t.Errorf("the checkpoint before gives %d calls, want 200: %v", calls, err)
	}
	m.drains()
}

// privileged skips a test that only root can run, which CI does not let pass.
func privileged(t *testing.T) {
	t.Helper()
	const reason = "mounts, network namespaces and control groups need root, and this user is not"
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") != "":
		t.Fatal(reason)
	default:
		t.Skip("SKIPPED, which fails in CI: " + reason)
	}
}

// command runs a command of the system. Without it the test cannot be, which CI
// does not let pass.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	commandIn(t, "", name, args...)
}

// commandIn is command in a directory.
func commandIn(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	t.Skipf("SKIPPED, which fails in CI: %s %q: %v: %s", name, args, err, out)
}

// mountTmpfs mounts a disk of 256 KiB.
func mountTmpfs(t *testing.T) string {
	t.Helper()
	privileged(t)
	dir := t.TempDir()
	command(t, "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", dir)
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("unmount: %v: %s", err, out)
		}
	})
	return dir
}
