package wire

import (
	"encoding/binary"
	"strings"

	"remuda/store"
)

// A state is everything of an origin that was stamped after a sequence, as a list of
// chunks: a header, entries, an end. Pulls carry it, and checkpoints are made of it.
const (
	chunkHeader  = 'H' // version, wall, status
	chunkEntries = 'E'
	chunkEnd     = 'Z' // status

	// chunkSize is after how many bytes of entries a chunk is complete. A row is not
	// split, since its lifetime must come with all its newest cells: maxChunk holds
	// one with every cell that is kept, 238 of some 26 KB at most.
	chunkSize = 128 << 10
	maxChunk  = 8 << 20
)

// A Source is where states are read: a store.
type Source interface {
	ChangedNotes(id store.OriginID, after uint64) *store.Notes
	Changed(id store.OriginID, after uint64, tiers store.Tiers, yield func(*store.RowState) bool)
	ChangedDecisions(id store.OriginID, after uint64) []store.Stamped[store.DecisionRecord]
}

// A StateWriter writes a state chunk by chunk.
type StateWriter struct {
	Source Source
	Emit   func(chunk []byte) error
	// Name says what a row is called to who has all up to a sequence; nil when rows have
	// no numbers: the state is not of the run that answers.
	Name   func(s *store.RowState, sequence, after uint64) RowName
	Builds bool // the receiver has all up to the sequence asked for

	head  Head
	chunk []byte
	key   string // the last in the chunk
	err   error
}

// Write writes the state of an origin. status is asked at the beginning and at the
// end. The newest cells come first: with them a reader sees the present.
func (w *StateWriter) Write(id store.OriginID, after uint64, wall int64, status func() Status) error {
	begin := status()
	w.head = Head{ID: id, Sequence: begin.Mark, Wall: wall}
	w.err = w.Emit(appendStatus(binary.AppendUvarint([]byte{chunkHeader, Version}, uint64(wall)), &begin))
	notes := w.Source.ChangedNotes(id, after)
	EachLatest(notes, after, w.add)
	w.rows(id, after, store.NewestTier)
	EachOther(notes, after, w.add)
	w.rows(id, after, store.AllTiers)
	var entry []byte
	for _, d := range w.Source.ChangedDecisions(id, after) {
		entry = AppendDecision(entry[:0], &d)
		if !w.add(entry) {
			break
		}
	}
	w.flush()
	if w.err != nil {
		return w.err
	}
	end := status()
	return w.Emit(appendStatus([]byte{chunkEnd}, &end))
}

// rows writes rows. A row's lifetime must never be ahead of its newest cells: the
// deltas that follow add to it what the cells grow by. So the second round, of
// AllTiers, repeats the newest cells that came after the header.
func (w *StateWriter) rows(id store.OriginID, after uint64, tiers store.Tiers) {
	var entry []byte
	w.Source.Changed(id, after, tiers, func(s *store.RowState) bool {
		all := len(s.Cells)
		if tiers == store.AllTiers {
			kept := s.Cells[:0]
			for _, c := range s.Cells {
				if c.Tier > 0 || c.Stamp > w.head.Sequence {
					kept = append(kept, c)
				}
			}
			s.Cells = kept
		}
		// A row whose cells have all been dropped still has a lifetime to tell.
		if len(s.Cells) == 0 && (all > 0 || tiers != store.AllTiers) {
			return true
		}
		name := RowName{Keyed: true}
		if w.Name != nil {
			known := uint64(0)
			if w.Builds {
				known = after
			}
			name = w.Name(s, w.head.Sequence, known)
		}
		entry = AppendRow(entry[:0], s, name, w.key, w.Builds, &w.head)
		if name.Keyed {
			w.key = strings.Clone(s.Key)
		}
		return w.add(entry)
	})
}

func (w *StateWriter) add(entry []byte) bool {
	if len(w.chunk) == 0 {
		w.chunk = append(w.chunk, chunkEntries)
	}
	w.chunk = append(w.chunk, entry...)
	if len(w.chunk) >= chunkSize {
		w.flush()
	}
	return w.err == nil
}

func (w *StateWriter) flush() {
	if w.err == nil && len(w.chunk) > 0 {
		w.err = w.Emit(w.chunk)
	}
	w.chunk, w.key = w.chunk[:0], ""
}

// A StateReader takes the chunks of a state in their order.
type StateReader struct {
	After uint64                           // the sequence asked for
	Begin func(s *Status, wall int64) bool // called before the first merge; false ends it
	Merge func(e *Entries) bool            // false ends it

	Status Status // of the origin, when the answer began
	Wall   int64  // of its clock then, ms
	Done   bool   // all has come
	Exact  bool   // the status was the same when the answer ended

	head    Head
	started bool
}

// Take reads a chunk.
func (s *StateReader) Take(chunk []byte) error {
	r := reader{rest: chunk}
	switch kind := r.byte(); {
	case kind == chunkHeader && !s.started:
		s.started = true
		if r.byte() != Version {
			return ErrDamaged
		}
		s.Wall = r.millis()
		s.Status = r.status()
		if !r.end() {
			return ErrDamaged
		}
		s.head = Head{ID: s.Status.ID, Sequence: s.Status.Mark, After: s.After, Wall: s.Wall}
		if !s.Begin(&s.Status, s.Wall) {
			return ErrDamaged
		}
	case kind == chunkEntries && s.started && !s.Done:
		e := r.entries(&s.head)
		if !r.end() || !s.Merge(&e) {
			return ErrDamaged
		}
	case kind == chunkEnd && s.started && !s.Done:
		s.Done = true
		end := r.status()
		if !r.end() {
			return ErrDamaged
		}
		s.Exact = end == s.Status
	default:
		return ErrDamaged
	}
	return nil
}
