package store

import "sync"

// Checkpoints is what became of the checkpoints that were made of a store.
type Checkpoints struct {
	Written, Failed uint64
	WrittenAt       int64 // ms since the epoch, when the last was written; 0 while none was
	// FailingSince is when the first of those failed that none was written after, 0 when
	// there is none; Reason is that of the last.
	FailingSince int64
	Reason       string
}

type checkpoints struct {
	mu sync.Mutex
	Checkpoints
}

// CheckpointMade says what became of a checkpoint: reason is empty if it was written,
// and else why it was not.
func (s *Store) CheckpointMade(reason string) {
	c := &s.checkpoints
	now := s.Clock()
	c.mu.Lock()
	before := c.Reason
	c.Reason = reason
	if reason == "" {
		c.Written++
		c.WrittenAt, c.FailingSince = now, 0
	} else {
		c.Failed++
		if c.FailingSince == 0 {
			c.FailingSince = now
		}
	}
	c.mu.Unlock()
	if before != reason {
		s.revision.Add(1) // attention tells of it
	}
}

// Checkpoints returns what became of the checkpoints so far.
func (s *Store) Checkpoints() Checkpoints {
	s.checkpoints.mu.Lock()
	defer s.checkpoints.mu.Unlock()
	c := s.checkpoints.Checkpoints
	c.WrittenAt, c.FailingSince = s.clock.shown(c.WrittenAt), s.clock.shown(c.FailingSince)
	return c
}
