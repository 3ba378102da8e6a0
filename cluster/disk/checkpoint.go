package disk

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"remuda/cluster/wire"
	"remuda/store"
)

// A checkpoint is a magic line, the time, the state of every origin as a pull would
// bring it, and a checksum of all that. docs/wire.md describes its bytes.
// Those of 2 have other buckets of latencies, and nothing in a cell tells: they are not read.
const magic = "remuda checkpoint 3\n"

// maxAge is the longest window: of an older checkpoint nothing would show.
const maxAge = time.Hour

// Remembered is how much of every origin a checkpoint brought back.
type Remembered struct {
	List []wire.Status
	Age  time.Duration // how long it was away
}

// Write writes the time, the state of every origin, and a checksum. statusOf says how
// much of each that is.
func Write(out io.Writer, st *store.Store, statusOf func(store.OriginID) wire.Status) error {
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(out, sum), 64<<10)
	if _, err := w.WriteString(magic); err != nil {
		return err
	}
	if err := binary.Write(w, binary.LittleEndian, st.Now()); err != nil {
		return err
	}
	chunks := wire.NewChunkWriter(w, nil)
	state := wire.StateWriter{Source: st, Emit: chunks.Write}
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

// Read puts a checkpoint into a store. One that is refused may have left some of it there.
//
// Cells are aged by the clock of their origin, and that went on while the checkpoint lay
// there. Written at 12:00:00 by this node, of an origin whose clock is an hour ahead, it
// says 13:00:00. Read at 12:05:00 it is 300 s old. The origin's clock is first put to
// 13:00:00, where it stood: a 1 s cell of 12:59:30 is 30 s old, is kept and merged as it
// is. Then the clock is put to 13:05:00: the cell is 330 s old, no 1 s cell is kept for
// that long, and it goes into the sums of 10 s and of the minute.
func Read(st *store.Store, content []byte) (found Remembered, err error) {
	body, ok := bytes.CutPrefix(content, []byte(magic))
	if !ok || len(body) < 8+sha256.Size {
		return found, errors.New("it is damaged, or of another version")
	}
	if sum := sha256.Sum256(content[:len(content)-sha256.Size]); !bytes.Equal(sum[:], content[len(content)-sha256.Size:]) {
		return found, errors.New("it is damaged: its checksum does not match")
	}
	// How long it was away cannot be told when the clock went back meanwhile: no time
	// is the least wrong, since nothing then stays in windows for longer.
	age := max(st.Now()-int64(binary.LittleEndian.Uint64(body)), 0)
	found.Age = time.Duration(age) * time.Millisecond
	if found.Age > maxAge {
		return found, fmt.Errorf("it is %v old, and no window is that long", found.Age.Round(time.Second))
	}
	in := wire.NewChunkReader(bufio.NewReader(bytes.NewReader(body[8:len(body)-sha256.Size])), nil)
	var origin *wire.StateReader
	var newest uint64 // stamp of the origin
	for {
		chunk, err := in.Next()
		if errors.Is(err, io.EOF) && origin == nil {
			return found, nil
		}
		if err != nil {
			return found, fmt.Errorf("it is damaged: %w", err)
		}
		if origin == nil {
			newest = 0
			origin = &wire.StateReader{
				// The clock first stands where it was, so that what is too old to be kept
				// as it is goes into sums when it jumps to the present.
				Begin: func(s *wire.Status, wall int64) bool { st.SetClock(s.ID, wall); return true },
				Merge: func(e *wire.Entries) bool {
					newest = max(newest, newestOf(e))
					return mergeAll(st, origin.Status.ID, e)
				},
			}
		}
		if err := origin.Take(chunk); err != nil {
			return found, fmt.Errorf("it is damaged: %w", err)
		}
		if origin.Done {
			s := origin.Status
			st.SetClock(s.ID, origin.Wall+age)
			st.Calibrate(s.ID, s.Digest)
			// Written while a tick was under way, there is more than was told, but not all of it.
			s.Ahead = max(s.Ahead, newest)
			s.Verified = s.Verified && origin.Exact && s.Ahead <= s.Mark
			found.List = append(found.List, s)
			origin = nil
		}
	}
}

// newestOf is the newest stamp of any of what digests are made of.
func newestOf(e *wire.Entries) uint64 {
	stamp := e.Notes.Newest()
	for i := range e.Rows {
		stamp = max(stamp, e.Rows[i].State.Stamp)
	}
	return stamp
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
