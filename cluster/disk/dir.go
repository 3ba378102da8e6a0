// Package disk is what a node keeps between its runs: their number, so that no two
// are the same (R9), and checkpoints of all that it held, so that the windows survive
// when a whole cluster stops. It reads and writes a store, and knows no member.
package disk

import (
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

// A Dir is the directory of a node: the number of its last run is there, and a
// checkpoint. It belongs to one goroutine.
type Dir struct {
	path string
	log  *slog.Logger
	lock *os.File
	last uint64

	remembered Remembered
}

const (
	incarnationFile = "incarnation"
	checkpointFile  = "checkpoint"

	// CheckpointEvery is how often a checkpoint wants to be made.
	CheckpointEvery = time.Minute
)

// Open opens the directory of a node, and locks it.
func Open(path string, log *slog.Logger) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, log: log, lock: lock}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("%s: another process uses it", path)
	}
	text, err := os.ReadFile(filepath.Join(path, incarnationFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		_ = d.Close()
		return nil, err
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
	err := d.replace(incarnationFile, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, incarnation)
		return err
	})
	if err == nil {
		d.last = incarnation
	}
	return err
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

// Save makes a checkpoint of all that a store holds. known, nil for a node alone, says
// how much of each origin that is.
func (d *Dir) Save(st *store.Store, known func(store.OriginID) (wire.Status, bool)) error {
	return d.replace(checkpointFile, func(w io.Writer) error {
		return Write(w, st, func(id store.OriginID) wire.Status { return d.statusOf(st, known, id) })
	})
}

func (d *Dir) statusOf(st *store.Store, known func(store.OriginID) (wire.Status, bool), id store.OriginID) wire.Status {
	if known != nil {
		if s, ok := known(id); ok {
			return s
		}
	}
	if id == (store.OriginID{Node: st.Node(), Incarnation: st.Incarnation()}) {
		return wire.Status{ID: id, Mark: st.Sequence(), Ahead: st.Sequence(), Digest: st.Digest(id), Verified: true}
	}
	for _, s := range d.remembered.List {
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
		return Remembered{}, err
	}
	began := time.Now()
	found, err := Read(st, content)
	if err != nil {
		aside := d.setAside(checkpointFile)
		d.log.Warn("the checkpoint is not used; it is kept aside", "reason", err, "file", aside)
		return Remembered{}, nil
	}
	d.log.Info("restored a checkpoint", "origins", len(found.List), "bytes", len(content), "took", time.Since(began).Round(time.Millisecond))
	d.remembered = found
	return found, nil
}
