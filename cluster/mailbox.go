package cluster

import (
	"sync"

	"github.com/hashicorp/serf/serf"

	"remuda/cluster/wire"
	"remuda/store"
)

// A mailbox is between serf and the loop. serf delivers events while it holds a
// lock, so whoever takes them must not wait for anything: the mailbox always has
// room, since of an origin it keeps only the latest messages (R11).
type mailbox struct {
	mu       sync.Mutex
	byOrigin map[store.OriginID][][]byte
	dropped  uint64

	ready chan struct{}
}

const (
	mailPerOrigin = 64
	mailOrigins   = wire.MaxOrigins
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
			if u, is := e.(serf.UserEvent); is {
				if u.Name != eventName {
					continue
				}
				m.put(u.Payload)
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

// take empties the mailbox. Messages of an origin are in the order of their coming.
func (m *mailbox) take() map[store.OriginID][][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.byOrigin
	m.byOrigin = make(map[store.OriginID][][]byte, len(all))
	return all
}

func (m *mailbox) droppedCount() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}
