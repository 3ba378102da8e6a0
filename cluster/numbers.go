package cluster

import (
	"strings"
	"sync"

	"remuda/cluster/wire"
	"remuda/store"
)

// A row in a delta names its series by a number that its origin gave it, once the
// key has been told a few times. rowNumbers are the numbers that were given.
// They are safe for concurrent use.
type rowNumbers struct {
	mu     sync.Mutex
	next   uint64
	byKey  map[numberedRow]*rowNumber
	forgot uint64 // sequence in which unused numbers were last looked for
}

// numberedRow is a row: when a series comes back after it aged out, it is another.
type numberedRow struct {
	key  string
	born uint64
}

type rowNumber struct {
	number  uint64
	given   uint64 // stamp of the row when it got the number: who has that knows it
	told    uint64 // sequence in which a delta first told the key, 0 when none did
	lastUse uint64
}

// A number goes with its key for tellFor sequences as far as there is room, so that
// who misses one event still learns it. maxNumbers bounds the numbers kept; rows beyond keep their key.
const (
	tellFor    = 3
	maxNumbers = 4096
)

// name is what a row is called in a delta. thrifty leaves out keys that were told
// once.
func (n *rowNumbers) name(s *store.RowState, sequence uint64, thrifty bool) wire.RowName {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.number(s, sequence)
	if known == nil {
		return wire.RowName{Keyed: true}
	}
	if known.told == 0 {
		known.told = sequence
	}
	again := uint64(tellFor)
	if thrifty {
		again = 1
	}
	return wire.RowName{Number: known.number, Keyed: sequence < known.told+again}
}

// number is that of a row, a new one if it has none; nil when there are no more, so
// that receivers, who keep twice as many, do not lose those of others.
func (n *rowNumbers) number(s *store.RowState, sequence uint64) *rowNumber {
	if n.byKey == nil {
		n.byKey = make(map[numberedRow]*rowNumber)
	}
	row := numberedRow{s.Key, s.Born}
	known := n.byKey[row]
	if known == nil {
		if len(n.byKey) >= maxNumbers && n.forgot < sequence { // once for all the rows of a sequence
			n.forgot = sequence
			n.forget(sequence)
		}
		if len(n.byKey) >= maxNumbers {
			return nil
		}
		n.next++
		known = &rowNumber{number: n.next, given: s.Stamp}
		row.key = strings.Clone(s.Key)
		n.byKey[row] = known
	}
	known.lastUse = sequence
	return known
}

// forget drops the numbers that were not used lately. They are not given again.
func (n *rowNumbers) forget(sequence uint64) {
	const lately = 7200
	for row, known := range n.byKey {
		if known.lastUse+lately < sequence {
			delete(n.byKey, row)
		}
	}
}

// answerName is what a row is called in an answer to who has all up to a sequence.
func (n *rowNumbers) answerName(s *store.RowState, sequence, after uint64) wire.RowName {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.number(s, sequence)
	if known == nil {
		return wire.RowName{Keyed: true}
	}
	return wire.RowName{Number: known.number, Keyed: known.given > after}
}
