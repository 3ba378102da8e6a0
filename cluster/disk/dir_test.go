package disk

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"remuda/cluster/internal/made"
	"remuda/cluster/wire"
	"remuda/store"
	"remuda/store/cell"
)

// A world is a clock, and a node.
type world struct {
	t   testing.TB
	now time.Duration
	me  *node
}

// A node is a store that counts.
type node struct {
	w      *world
	store  *store.Store
	id     store.OriginID
	serial int
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: time.Second}
	w.me = w.node("me", 1000)
	return w
}

func (w *world) node(name string, incarnation uint64) *node {
	st, err := store.New(store.Options{
		Node: name, Incarnation: incarnation, DedupBytes: 1 << 20,
		Now: func() time.Time { return time.UnixMilli(1_800_000_000_000).Add(w.now) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return &node{w: w, store: st, id: store.OriginID{Node: name, Incarnation: incarnation}}
}

// tick counts calls and closes a sequence.
func (n *node) tick(calls int) {
	n.w.now += 500 * time.Millisecond
	events := make([]store.Event, calls)
	at := n.store.Now()
	for i := range events {
		n.serial++
		events[i] = made.Call(at, fmt.Sprint("p", n.serial%50), 1000)
	}
	n.store.Apply(events)
	n.store.Tick()
}

// take merges all that another counted.
func (n *node) take(from *node) {
	from.store.Changed(from.id, 0, store.AllTiers, func(s *store.RowState) bool {
		if err := n.store.Merge(from.id, s); err != nil {
			n.w.t.Fatal(err)
		}
		return true
	})
}

func (n *node) status() wire.Status {
	sequence := n.store.Sequence()
	return wire.Status{ID: n.id, Mark: sequence, Ahead: sequence, Digest: n.store.Digest(n.id), Verified: true}
}

func (n *node) calls() (sum uint64) {
	table := n.store.NewTable(store.Query{By: []store.Dim{store.ChainDim}, Window: cell.Window5m})
	table.Refresh()
	for _, r := range table.Rows() {
		sum += r.Calls
	}
	return sum
}

func openDir(t *testing.T, path string, log *bytes.Buffer) *Dir {
	t.Helper()
	d, err := Open(path, slog.New(slog.NewTextHandler(log, nil)))
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
		a.tick(10)
		w.me.take(a)
		w.me.tick(5)
		var log bytes.Buffer
		path := t.TempDir()
		d := openDir(t, path, &log)
		if err := d.Begin(1000); err != nil {
			t.Fatal(err)
		}
		if err := d.Save(w.me.store, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, slog.Default()); err == nil || !strings.Contains(err.Error(), "another process") {
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
		w.me = w.node("me", again.NextIncarnation())
		found, err := again.Restore(w.me.store)
		if err != nil {
			t.Fatal(err)
		}
		w.me.store.Tick()
		if got := w.me.calls(); got != 15 {
			t.Errorf("after %v, %d calls are back, want 15", away, got)
		}
		if len(found.List) != 2 || found.Age.Round(time.Second) != away {
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
	me.tick(10)
	var saved bytes.Buffer
	own := me.status()
	if err := Write(&saved, me.store, func(store.OriginID) wire.Status { return own }); err != nil {
		t.Fatal(err)
	}
	w.now = time.Second
	w.me = w.node("me", 2000)
	if _, err := Read(w.me.store, saved.Bytes()); err != nil {
		t.Fatal(err)
	}
	w.me.store.Tick()
	if got := w.me.calls(); got != 10 {
		t.Errorf("%d calls are back, want 10", got)
	}
	w.now += 6 * time.Minute
	w.me.store.Tick()
	if got := w.me.calls(); got != 0 {
		t.Errorf("%d calls of five minutes, after six", got)
	}
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
	if err := d.Save(w.me.store, nil); err != nil {
		t.Fatal(err)
	}
	if found, err := d.Restore(w.node("me", 2000).store); err != nil || len(found.List) != 1 {
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
	w.me.tick(5)
	path := t.TempDir()
	file := filepath.Join(path, checkpointFile)
	var log bytes.Buffer
	d := openDir(t, path, &log)
	if err := d.Save(w.me.store, nil); err != nil {
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
		"other buckets":   {append([]byte("remuda checkpoint 2\n"), good[20:]...), 0, "another version"},
		"too old":         {good, 61 * time.Minute, "old"},
	} {
		if err := os.WriteFile(file, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		w.now += test.later
		st := w.node("me", 2000).store
		found, err := d.Restore(st)
		w.now -= test.later
		if err != nil || len(found.List) != 0 || len(st.Origins()) != 1 {
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
	if _, err := Open(filepath.Join(path, "lock", "below"), slog.Default()); err == nil {
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

// TestWideRow: a series of which every step of an hour is kept, and whose latencies and
// failures fill all buckets, goes through a checkpoint.
func TestWideRow(t *testing.T) {
	w := newWorld(t)
	w.now = 2 * time.Hour
	a := w.node("a", 1)
	// Latencies for all buckets of successes and of failures, from a microsecond up to a day.
	// Where steps of ten seconds or minutes are the finest kept, they come at once.
	const buckets = 1200
	for back := int64(3590); back >= 0; back-- {
		if back > 80 && back%10 > 0 || back > 970 && back%60 > 0 {
			continue
		}
		events := make([]store.Event, 2*buckets)
		at := a.store.Now() - back*1000
		for i := range events {
			micros := uint64(math.Exp(float64(i/2) / buckets * math.Log(80_000_000_000)))
			events[i] = made.Call(at, "p", micros)
			events[i].Result = cell.Result((i + 1) % 2) // every other one failed
		}
		if refusals := a.store.Apply(events).Refusals; len(refusals) > 0 {
			t.Fatal(refusals)
		}
	}
	a.store.Tick()
	var saved bytes.Buffer
	if err := Write(&saved, a.store, func(store.OriginID) wire.Status { return a.status() }); err != nil {
		t.Fatal(err)
	}
	again := w.node("a", 2)
	if _, err := Read(again.store, saved.Bytes()); err != nil {
		t.Fatalf("a checkpoint of %d bytes: %v", saved.Len(), err)
	}
	if got, want := again.store.Digest(a.id), a.store.Digest(a.id); got != want {
		t.Errorf("digest %x, want %x", got, want)
	}
}

// FuzzRead: whatever stands in a checkpoint, the store takes it or leaves it.
func FuzzRead(f *testing.F) {
	w := newWorld(f)
	w.me.tick(5)
	var saved bytes.Buffer
	if err := Write(&saved, w.me.store, func(store.OriginID) wire.Status { return w.me.status() }); err != nil {
		f.Fatal(err)
	}
	body := saved.Bytes()[len(magic) : saved.Len()-sha256.Size]
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		w := newWorld(t)
		content := append([]byte(magic), body...)
		sum := sha256.Sum256(content)
		_, _ = Read(w.node("me", 2000).store, append(content, sum[:]...))
		w.me.calls()
	})
}

// TestCheckpointAmongTicks: what was written while a tick was under way, of which a part
// came along, is not taken for what the last sequence closed.
func TestCheckpointAmongTicks(t *testing.T) {
	w := newWorld(t)
	w.me.tick(10)
	told := w.me.status()
	ticked := false
	var b bytes.Buffer
	err := Write(&b, w.me.store, func(store.OriginID) wire.Status {
		if !ticked {
			ticked = true
			w.me.tick(10) // the sequence is told when it is done
		}
		return told
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := Read(w.node("me", 1001).store, b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if s := found.List[0]; s.Mark != told.Mark || s.Ahead != told.Mark+1 || s.Verified {
		t.Errorf("of what was told as %+v there is %+v", told, s)
	}
}
