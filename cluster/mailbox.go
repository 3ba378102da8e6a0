package cluster

import (
	"context"
	"sync"

	"github.com/hashicorp/serf/serf"

	"remuda/cluster/rules"
	"remuda/cluster/wire"
	"remuda/store"
)

// A mailbox is before the goroutine of the rules. serf delivers events while it holds a
// lock, so whoever takes them must not wait for anything: the mailbox always has
// room, since of an origin it keeps only the latest messages (R11). What workers post is
// never dropped, and bounded by what was begun; what members ask is dropped beyond
// maxPosted, and they ask again.
type mailbox struct {
	mu       sync.Mutex
	byOrigin map[store.OriginID][][]byte
	posted   []post
	members  bool // serf has said that a member came, went or changed
	dropped  uint64

	ready chan struct{}
}

// A post is an event for the rules. done, if there is one, is closed when it was taken.
type post struct {
	event rules.Event
	done  chan struct{}
}

const (
	mailPerOrigin = 64
	mailOrigins   = wire.MaxOrigins
	maxPosted     = 1024
)

func newMailbox() *mailbox {
	return &mailbox{byOrigin: make(map[store.OriginID][][]byte), ready: make(chan struct{}, 1)}
}

// run takes serf's events until the channel is closed or done is.
func (m *mailbox) run(events <-chan serf.Event, done <-chan struct{}) {
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			switch e := e.(type) {
			case serf.UserEvent:
				if e.Name != eventName {
					continue
				}
				m.put(e.Payload)
			case serf.MemberEvent:
				m.mu.Lock()
				m.members = true
				m.mu.Unlock()
			}
			m.wake()
		case <-done:
			return
		}
	}
}

func (m *mailbox) wake() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

func (m *mailbox) put(message []byte) {
	h, _ := wire.ReadHead(message) // a message without one is kept under no origin: the loop counts it
	m.mu.Lock()
	defer m.mu.Unlock()
	list, known := m.byOrigin[h.ID]
	switch {
	case !known && len(m.byOrigin) >= mailOrigins:
		m.dropped++
		return
	case len(list) >= mailPerOrigin:
		copy(list, list[1:])
		list = list[:len(list)-1]
		m.dropped++
	}
	m.byOrigin[h.ID] = append(list, message)
}

// post has an event taken.
func (m *mailbox) post(e rules.Event) { m.add(post{event: e}, false) }

// ask has an event taken if there is room.
func (m *mailbox) ask(e rules.Event) { m.add(post{event: e}, true) }

// postAndWait has an event taken and waits for that; an end of either context is an error.
func (m *mailbox) postAndWait(ctx, life context.Context, e rules.Event) error {
	done := make(chan struct{})
	m.add(post{e, done}, false)
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-life.Done():
		return life.Err()
	}
}

func (m *mailbox) add(p post, mayDrop bool) {
	m.mu.Lock()
	if mayDrop && len(m.posted) >= maxPosted {
		m.dropped++
	} else {
		m.posted = append(m.posted, p)
	}
	m.mu.Unlock()
	m.wake()
}

// take empties the mailbox. Messages of an origin, and events, are in the order of their
// coming. members says that serf's list of members has changed.
func (m *mailbox) take() (heard map[store.OriginID][][]byte, posted []post, members bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	heard, posted, members = m.byOrigin, m.posted, m.members
	m.byOrigin, m.posted, m.members = make(map[store.OriginID][][]byte, len(heard)), nil, false
	return heard, posted, members
}

func (m *mailbox) droppedCount() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}
