package cluster

import (
	"math"
	"time"
)

// What of memberlist decides how much its gossip carries. An event is queued at
// every node that hears it and leaves from there retransmitMult·⌈log10(n+1)⌉ times,
// in packets to gossipNodes members every gossipInterval.
const (
	gossipInterval = 25 * time.Millisecond
	gossipNodes    = 6
	retransmitMult = 4

	// eventOverhead is what serf and memberlist add to the payload of an event, with a
	// logical time of nine bytes: it has one at first, and more as time goes on. An
	// event that does not fit is never sent, and never leaves the queue either.
	// packetOverhead is what a packet has besides events and encryptionOverhead what the
	// encryption of it adds, in bytes.
	eventOverhead      = 42
	packetOverhead     = 2
	encryptionOverhead = 29

	// maxSpent is for how many bytes a second of gossip a node's share in the deltas of
	// all may be answerable. Beyond it pulls are cheaper: they bring each member a
	// delta once, and compressed.
	maxSpent = 150_000

	// serfLimit is the largest event, all told, that serf takes.
	serfLimit = 9216
	eventName = "d"
)

// A budget says how much a delta may carry inline so that gossip takes away in a
// tick what is queued in a tick. More would be late or lost.
type budget struct {
	payload int     // bytes of an event
	parts   float64 // events a node may send a tick
}

// wire is what a budget depends on besides the number of nodes.
type capacity struct {
	packet    int // largest UDP packet
	encrypted bool
	label     string
	tick      time.Duration
}

// room is the largest payload that fits a packet together with others of its size.
func (w *capacity) room(events int) int {
	free := w.packet - packetOverhead
	if w.encrypted {
		free -= encryptionOverhead
	}
	if w.label != "" {
		free -= 2 + len(w.label)
	}
	return min(free/events, serfLimit) - eventOverhead
}

// budget for a cluster of n nodes.
func (w *capacity) budget(n int) budget {
	n = max(n, 2)
	transmissions := float64(retransmitMult) * math.Ceil(math.Log10(float64(n+1))) * float64(n)
	packets := float64(min(gossipNodes, n-1)) * float64(w.tickOf(n)) / float64(gossipInterval)
	events := max(1, int(math.Ceil(transmissions/packets)))
	b := budget{payload: w.room(events), parts: packets * float64(events) / transmissions}
	affordable := maxSpent * w.tickOf(n).Seconds() / (transmissions * float64(b.payload))
	b.parts = max(1, min(b.parts, affordable))
	return b
}

// tickOf is the length of a tick in a cluster of n nodes: everybody hears n heads
// a tick.
func (w *capacity) tickOf(n int) time.Duration {
	return max(w.tick, time.Duration(n)*25*time.Millisecond)
}
