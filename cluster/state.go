package cluster

import (
	"encoding/binary"
	"strings"

	"remuda/store"
)

// A state is everything of an origin that was stamped after a sequence, as a list of
// frames: a header, entries, an end. Pulls carry it, and checkpoints are made of it.
const (
	frameHeader  = 'H' // version, wall, status
	frameEntries = 'E'
	frameEnd     = 'Z' // status

	// frameSize is after how many bytes of entries a frame is complete. A row is not
	// split, since its lifetime must come with all its newest cells: maxFrame holds
	// one with every cell that is kept, 238 of some 26 KB at most.
	frameSize = 128 << 10
	maxFrame  = 8 << 20
)

// stateWriter writes a state frame by frame.
type stateWriter struct {
	store   *store.Store
	numbers *rowNumbers // of rows of this node's own, if the receiver is to learn them
	builds  bool        // the receiver has all up to the sequence asked for
	emit    func(frame []byte) error

	head  head
	frame []byte
	key   string // the last in the frame
	err   error
}

// write writes the state of an origin. status is asked at the beginning and at the
// end. The newest cells come first: with them a reader sees the present.
func (w *stateWriter) write(id store.OriginID, after uint64, wall int64, status func() status) error {
	begin := status()
	w.head = head{id: id, sequence: begin.mark, wall: wall}
	w.err = w.emit(appendStatus(binary.AppendUvarint([]byte{frameHeader, wireVersion}, uint64(wall)), &begin))
	notes := w.store.ChangedNotes(id, after)
	eachLatest(notes, after, w.add)
	w.rows(id, after, store.NewestTier)
	eachOther(notes, after, w.add)
	w.rows(id, after, store.AllTiers)
	var entry []byte
	for _, d := range w.store.ChangedDecisions(id, after) {
		entry = appendDecision(entry[:0], &d)
		if !w.add(entry) {
			break
		}
	}
	w.flush()
	if w.err != nil {
		return w.err
	}
	end := status()
	return w.emit(appendStatus([]byte{frameEnd}, &end))
}

// rows writes rows. A row's lifetime must never be ahead of its newest cells: the
// deltas that follow add to it what the cells grow by. So the second round, of
// AllTiers, repeats the newest cells that came after the header.
func (w *stateWriter) rows(id store.OriginID, after uint64, tiers store.Tiers) {
	var entry []byte
	w.store.Changed(id, after, tiers, func(s *store.RowState) bool {
		all := len(s.Cells)
		if tiers == store.AllTiers {
			kept := s.Cells[:0]
			for _, c := range s.Cells {
				if c.Tier > 0 || c.Stamp > w.head.sequence {
					kept = append(kept, c)
				}
			}
			s.Cells = kept
		}
		// A row whose cells have all been dropped still has a lifetime to tell.
		if len(s.Cells) == 0 && (all > 0 || tiers != store.AllTiers) {
			return true
		}
		known := uint64(0)
		if w.builds {
			known = after
		}
		name := w.numbers.answerName(s, w.head.sequence, known)
		entry = appendRow(entry[:0], s, name, w.key, w.builds, &w.head)
		if name.keyed {
			w.key = strings.Clone(s.Key)
		}
		return w.add(entry)
	})
}

func (w *stateWriter) add(entry []byte) bool {
	if len(w.frame) == 0 {
		w.frame = append(w.frame, frameEntries)
	}
	w.frame = append(w.frame, entry...)
	if len(w.frame) >= frameSize {
		w.flush()
	}
	return w.err == nil
}

func (w *stateWriter) flush() {
	if w.err == nil && len(w.frame) > 0 {
		w.err = w.emit(w.frame)
	}
	w.frame, w.key = w.frame[:0], ""
}

// stateReader takes the frames of a state in their order.
type stateReader struct {
	after uint64 // the sequence asked for
	begin func(s *status, wall int64)
	merge func(e *entries) bool

	head    head
	result  pullResult
	started bool
	done    bool
}

// take reads a frame.
func (s *stateReader) take(frame []byte) error {
	r := reader{rest: frame}
	switch kind := r.byte(); {
	case kind == frameHeader && !s.started:
		s.started = true
		if r.byte() != wireVersion {
			return errDamaged
		}
		s.result.wall = r.millis()
		s.result.status = r.status()
		if !r.end() {
			return errDamaged
		}
		s.head = head{id: s.result.id, sequence: s.result.mark, after: s.after, wall: s.result.wall}
		s.begin(&s.result.status, s.result.wall)
	case kind == frameEntries && s.started && !s.done:
		e := r.entries(&s.head)
		if !r.end() || !s.merge(&e) {
			return errDamaged
		}
	case kind == frameEnd && s.started && !s.done:
		s.done = true
		end := r.status()
		if !r.end() {
			return errDamaged
		}
		s.result.exact = end == s.result.status
	default:
		return errDamaged
	}
	return nil
}
