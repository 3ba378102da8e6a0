package load

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"
)

// shown is what one query shows, put together once for all viewers that ask it:
// they are sent the same frames. Each frame a viewer gets must have the bytes that
// others got under the same cursor, and follow the frame that the viewer had
// before; the first to get a frame applies it.
type shown struct {
	mu     sync.Mutex
	seed   maphash.Seed
	frames map[string]*seenFrame // by event name and cursor
	states map[string]*state     // by cursor
	order  []string              // cursors of states, oldest first
}

// framesKept is how many states are kept for viewers that lag behind the first.
const framesKept = 256

type seenFrame struct {
	hash   uint64
	before string // cursor, of a delta
}

// state is all rows at a cursor. It is not changed any more.
type state struct {
	revision uint64
	rows     map[string]sums
	requests uint64
}

func newShown() *shown {
	return &shown{seed: maphash.MakeSeed(), frames: make(map[string]*seenFrame), states: make(map[string]*state)}
}

// take checks a frame that a viewer was sent after the one at before, and returns
// what it then sees.
func (s *shown) take(name, cursor, before string, data []byte) (*state, error) {
	hash := maphash.Bytes(s.seed, data)
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.frames[name+cursor]
	if known == nil {
		after, err := s.apply(name, cursor, before, data)
		if err != nil {
			return nil, err
		}
		s.frames[name+cursor] = &seenFrame{hash, before}
		return after, nil
	}
	if known.hash != hash {
		return nil, fmt.Errorf("%s %s is not what others were sent", name, cursor)
	}
	if name == "delta" && known.before != before {
		return nil, fmt.Errorf("delta %s came after %q, to others after %q", cursor, before, known.before)
	}
	return s.states[cursor], nil
}

// apply makes the state at a cursor.
func (s *shown) apply(name, cursor, before string, data []byte) (*state, error) {
	var frame struct {
		Meta struct {
			Revision uint64 `json:"revision"`
		} `json:"meta"`
		Rows   []counted `json:"rows"`
		Upsert []counted `json:"upsert"`
		Remove []string  `json:"remove"`
	}
	if err := json.Unmarshal(data, &frame); err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, cursor, err)
	}
	after := &state{revision: frame.Meta.Revision, rows: make(map[string]sums)}
	if name == "delta" {
		base := s.states[before]
		switch {
		case base == nil:
			return nil, fmt.Errorf("delta %s follows %q, which was not sent", cursor, before)
		case base.revision > after.revision:
			return nil, fmt.Errorf("delta %s goes from revision %d back to %d", cursor, base.revision, after.revision)
		}
		maps.Copy(after.rows, base.rows)
		frame.Rows = frame.Upsert
	}
	for _, r := range frame.Rows {
		after.rows[r.Key] = r.sums()
	}
	for _, key := range frame.Remove {
		delete(after.rows, key)
	}
	for _, v := range after.rows {
		after.requests += v.requests
	}
	if known := s.states[cursor]; known != nil {
		// Reached both by a snapshot and by deltas: it has to be the same.
		if d := differences(known.rows, nil, after.rows); len(d) > 0 {
			return nil, fmt.Errorf("snapshot and deltas at %s differ: %s", cursor, d[0])
		}
		return known, nil
	}
	s.states[cursor] = after
	s.order = append(s.order, cursor)
	if len(s.order) > framesKept {
		old := s.order[0]
		s.order = s.order[1:]
		delete(s.states, old)
		delete(s.frames, "delta"+old)
		delete(s.frames, "snapshot"+old)
	}
	return after, nil
}
