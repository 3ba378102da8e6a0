package cluster

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// A Dir is what a node remembers on disk: the number of its last run, so that no
// two runs ever have the same, and a checkpoint of all that it held, so that the
// windows survive when the whole cluster stops. It belongs to one goroutine.
type Dir struct {
	path string
	log  *slog.Logger
	lock *os.File
	last uint64

	remembered Remembered
}

// Remembered is how much of every origin a checkpoint brought back.
type Remembered struct {
	list []wire.Status
	age  time.Duration
}

const (
	incarnationFile = "incarnation"
	checkpointFile  = "checkpoint"
	checkpointMagic = "remuda checkpoint 2\n"

	// CheckpointEvery is how often a checkpoint wants to be made.
	CheckpointEvery = time.Minute
	// maxCheckpointAge is the longest window: of an older checkpoint nothing would show.
	maxCheckpointAge = time.Hour
)

// OpenDir opens the directory of a node, and locks it.
func OpenDir(path string, log *slog.Logger) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	d := &Dir{path: path, log: log, lock: lock}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("--data-dir %s: another process uses it", path)
	}
	text, err := os.ReadFile(filepath.Join(path, incarnationFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		_ = d.Close()
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	if err == nil {
		if d.last, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 53); err != nil {
			aside := d.setAside(incarnationFile)
			log.Warn("the number of the last run is damaged; it is kept aside, and the clock is trusted instead", "file", aside)
		}
	}
	return d, nil
}

// Close gives the directory up.
func (d *Dir) Close() error {
	if err := d.lock.Close(); err != nil {
		return fmt.Errorf("close the data directory: %w", err)
	}
	return nil
}

// NextIncarnation is the least number that the next run may have.
func (d *Dir) NextIncarnation() uint64 { return d.last + 1 }

// Begin notes the number of this run. Nothing may leave the node before (R9).
func (d *Dir) Begin(incarnation uint64) error {
	if err := d.replace(incarnationFile, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, incarnation)
		return err
	}); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	d.last = incarnation
	return nil
}

// replace writes a file anew so that after a crash there is the old one or the new,
// and at most one unfinished beside it.
func (d *Dir) replace(name string, write func(w io.Writer) error) error {
	f, err := os.OpenFile(filepath.Join(d.path, name+".tmp"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	err = write(f)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.path, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", name, err)
	}
	dir, err := os.Open(d.path)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() { _ = dir.Close() }()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (d *Dir) setAside(name string) string {
	aside := filepath.Join(d.path, name+".refused")
	if err := os.Rename(filepath.Join(d.path, name), aside); err != nil {
		d.log.Warn("a file could not be kept aside", "error", err)
	}
	return aside
}

// Save makes a checkpoint of all that a store holds. c, nil for a node alone, says
// how much of each origin that is.
func (d *Dir) Save(st *store.Store, c *Cluster) error {
	return d.replace(checkpointFile, func(w io.Writer) error {
		return writeCheckpoint(w, st, func(id store.OriginID) wire.Status { return d.statusOf(st, c, id) })
	})
}

// writeCheckpoint writes the time, the state of every origin, and a checksum.
func writeCheckpoint(out io.Writer, st *store.Store, statusOf func(store.OriginID) wire.Status) error {
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(out, sum), 64<<10)
	if _, err := w.WriteString(checkpointMagic); err != nil {
		return err
	}
	if err := binary.Write(w, binary.LittleEndian, st.Now()); err != nil {
		return err
	}
	frames := wire.NewFrameWriter(w, nil)
	state := wire.StateWriter{Source: st, Emit: frames.Write}
	for _, id := range st.Origins() {
		wall := st.Now() + st.Skew(id).Milliseconds()
		if err := state.Write(id, 0, wall, func() wire.Status { return statusOf(id) }); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := out.Write(sum.Sum(nil))
	return err
}

func (d *Dir) statusOf(st *store.Store, c *Cluster, id store.OriginID) wire.Status {
	if c != nil {
		if s, ok := c.status(id); ok {
			return s
		}
	}
	if id == (store.OriginID{Node: st.Node(), Incarnation: st.Incarnation()}) {
		return wire.Status{ID: id, Mark: st.Sequence(), Ahead: st.Sequence(), Digest: st.Digest(id), Verified: true}
	}
	for _, s := range d.remembered.list {
		if s.ID == id {
			return s
		}
	}
	return wire.Status{ID: id, Digest: st.Digest(id)}
}

// Restore puts the last checkpoint into a store. One that is damaged or too old is
// kept aside, which is no error: the node begins without.
func (d *Dir) Restore(st *store.Store) (Remembered, error) {
	content, err := os.ReadFile(filepath.Join(d.path, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Remembered{}, nil
	}
	if err != nil {
		return Remembered{}, fmt.Errorf("--data-dir: %w", err)
	}
	began := time.Now()
	found, err := restore(st, content)
	if err != nil {
		aside := d.setAside(checkpointFile)
		d.log.Warn("the checkpoint is not used; it is kept aside", "reason", err, "file", aside)
		return Remembered{}, nil
	}
	d.log.Info("restored a checkpoint", "origins", len(found.list), "bytes", len(content), "took", time.Since(began).Round(time.Millisecond))
	d.remembered = found
	return found, nil
}

func restore(st *store.Store, content []byte) (found Remembered, err error) {
	body, ok := bytes.CutPrefix(content, []byte(checkpointMagic))
	if !ok || len(body) < 8+sha256.Size {
		return found, errors.New("it is damaged, or of another version")
	}
	if sum := sha256.Sum256(content[:len(content)-sha256.Size]); !bytes.Equal(sum[:], content[len(content)-sha256.Size:]) {
		return found, errors.New("it is damaged: its checksum does not match")
	}
	// How long it was away cannot be told when the clock went back meanwhile: no time
	// is the least wrong, since nothing then stays in windows for longer.
	age := max(st.Now()-int64(binary.LittleEndian.Uint64(body)), 0)
	found.age = time.Duration(age) * time.Millisecond
	if found.age > maxCheckpointAge {
		return found, fmt.Errorf("it is %v old, and no window is that long", found.age.Round(time.Second))
	}
	in := wire.NewFrameReader(bufio.NewReader(bytes.NewReader(body[8:len(body)-sha256.Size])), nil)
	var origin *wire.StateReader
	for {
		frame, err := in.Next()
		if errors.Is(err, io.EOF) && origin == nil {
			return found, nil
		}
		if err != nil {
			return found, fmt.Errorf("it is damaged: %w", err)
		}
		if origin == nil {
			origin = &wire.StateReader{
				// The clock first stands where it was, so that what is too old to be kept
				// as it is goes into sums when it jumps to the present.
				Begin: func(s *wire.Status, wall int64) { st.SetClock(s.ID, wall) },
				Merge: func(e *wire.Entries) bool { return mergeAll(st, origin.Status.ID, e) },
			}
		}
		if err := origin.Take(frame); err != nil {
			return found, fmt.Errorf("it is damaged: %w", err)
		}
		if origin.Done {
			s := origin.Status
			st.SetClock(s.ID, origin.Wall+age)
			st.Calibrate(s.ID, s.Digest)
			s.Verified = s.Verified && origin.Exact
			found.list = append(found.list, s)
			origin = nil
		}
	}
}

// mergeAll merges entries as far as there is room for them.
func mergeAll(st *store.Store, id store.OriginID, e *wire.Entries) bool {
	if err := st.MergeNotes(id, &e.Notes); err != nil && !errors.Is(err, store.ErrNoRoom) {
		return false
	}
	for i := range e.Rows {
		if err := st.Merge(id, &e.Rows[i].State); err != nil && !errors.Is(err, store.ErrNoRoom) {
			return false
		}
	}
	return true
}
