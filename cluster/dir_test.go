package cluster

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

func openDir(t *testing.T, path string, log *bytes.Buffer) *Dir {
	t.Helper()
	d, err := OpenDir(path, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// TestCheckpoint: what a node held comes back, of every origin, with the numbers of
// runs going up; what a step was when the node stopped goes into sums if it comes
// back late.
func TestCheckpoint(t *testing.T) {
	for _, away := range []time.Duration{time.Second, 3 * time.Minute} {
		w := newWorld(t)
		a := w.node("a", 1)
		w.receive(a.tick(10, wide))
		me := &teller{w: w, name: "me", publisher: &publisher{store: w.store, id: w.p.self}}
		me.tick(5, wide)
		var log bytes.Buffer
		path := t.TempDir()
		d := openDir(t, path, &log)
		if err := d.Begin(1000); err != nil {
			t.Fatal(err)
		}
		if err := d.Save(w.store, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDir(path, slog.Default()); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("a directory in use: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		w.now += away
		again := openDir(t, path, &log)
		if next := again.NextIncarnation(); next != 1001 {
			t.Errorf("the next run is %d, want 1001", next)
		}
		w.store = w.newStore("me", again.NextIncarnation())
		found, err := again.Restore(w.store)
		if err != nil {
			t.Fatal(err)
		}
		w.store.Tick()
		if got := w.calls(); got != 15 {
			t.Errorf("after %v, %d calls are back, want 15", away, got)
		}
		if len(found.list) != 2 || found.age.Round(time.Second) != away {
			t.Errorf("remembered %+v", found)
		}
	}
}

// TestCheckpointOfAClockAhead: what a node counted while its clock was an hour ahead
// leaves its windows when their time is over, though the clock was set right while
// it was away.
func TestCheckpointOfAClockAhead(t *testing.T) {
	w := newWorld(t)
	w.now = time.Hour
	me := w.node("me", 1000)
	me.tick(10, wide)
	var saved bytes.Buffer
	own := verified(me.id, 1, me.store.Digest(me.id))
	if err := writeCheckpoint(&saved, me.store, func(store.OriginID) wire.Status { return own }); err != nil {
		t.Fatal(err)
	}
	w.now = time.Second
	w.store = w.newStore("me", 2000)
	if _, err := restore(w.store, saved.Bytes()); err != nil {
		t.Fatal(err)
	}
	w.store.Tick()
	w.want("calls back", w.calls(), uint64(10))
	w.now += 6 * time.Minute
	w.store.Tick()
	w.want("calls of five minutes, after six", w.calls(), uint64(0))
}

// TestUnfinishedFiles: a process that is killed while it writes leaves nothing that
// the next one adds to.
func TestUnfinishedFiles(t *testing.T) {
	w := newWorld(t)
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, checkpointFile+".tmp"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, path, new(bytes.Buffer))
	if err := d.Save(w.store, nil); err != nil {
		t.Fatal(err)
	}
	if found, err := d.Restore(w.newStore("me", 2000)); err != nil || len(found.list) != 1 {
		t.Errorf("restored %+v: %v", found, err)
	}
	if left, err := filepath.Glob(filepath.Join(path, "*.tmp")); err != nil || len(left) > 0 {
		t.Errorf("%v is left: %v", left, err)
	}
}

// TestBadCheckpoints: one that is damaged or too old is kept aside with a reason, and
// the node begins without. A directory that cannot be used is an error.
func TestBadCheckpoints(t *testing.T) {
	w := newWorld(t)
	me := &teller{w: w, name: "me", publisher: &publisher{store: w.store, id: w.p.self}}
	me.tick(5, wide)
	path := t.TempDir()
	file := filepath.Join(path, checkpointFile)
	var log bytes.Buffer
	d := openDir(t, path, &log)
	if err := d.Save(w.store, nil); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, test := range map[string]struct {
		content []byte
		later   time.Duration
		reason  string
	}{
		"empty":           {nil, 0, "damaged"},
		"cut":             {good[:len(good)-1], 0, "checksum"},
		"a bit flipped":   {flipped, 0, "checksum"},
		"another version": {append([]byte("remuda checkpoint 9\n"), good[20:]...), 0, "another version"},
		"too old":         {good, 61 * time.Minute, "old"},
	} {
		if err := os.WriteFile(file, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		w.now += test.later
		st := w.newStore("me", 2000)
		found, err := d.Restore(st)
		w.now -= test.later
		if err != nil || len(found.list) != 0 || len(st.Origins()) != 1 {
			t.Errorf("%s: %v, %v, %v", name, found, err, st.Origins())
		}
		if !strings.Contains(log.String(), test.reason) {
			t.Errorf("%s: the log says %q", name, log.String())
		}
		if _, err := os.Stat(file + ".refused"); err != nil {
			t.Errorf("%s: it was not kept aside: %v", name, err)
		}
		_ = os.Remove(file + ".refused")
	}
	if _, err := OpenDir(filepath.Join(path, "lock", "below"), slog.Default()); err == nil {
		t.Error("a directory below a file opens")
	}
	if err := os.WriteFile(filepath.Join(path, incarnationFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = d.Close()
	if d := openDir(t, path, &log); d.NextIncarnation() != 1 {
		t.Errorf("after a damaged number comes %d", d.NextIncarnation())
	}
}
