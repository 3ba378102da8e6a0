package httpapi

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A view is one canonical query at one interval, shared by all who ask the same.
// Its frames come at multiples of the interval. Whichever subscriber gets there
// first computes the frame while the others wait for it; all of them then send
// the same bytes. A view that nobody reads does nothing, and is dropped after
// viewKept, so that a reader who lost its connection can go on where it was.
type view struct {
	key      string
	interval time.Duration
	computed *atomic.Uint64

	mu       sync.Mutex // held while a frame is computed: that is what makes it one computation
	source   source
	instance uint64
	slot     int64    // the multiple of the interval that the newest frame belongs to
	frames   []*frame // the newest last
	held     int      // bytes of their deltas
	readers  int
	idle     *time.Timer // drops the view when it fires
	begun    bool
}

// frame is one state of a view. Its bytes are never changed.
type frame struct {
	sequence uint64
	cursor   string
	delta    []byte // the JSON document of what changed since the frame before
	meta     []byte // `"meta":{…}`
	snapshot []byte // of the newest frame only, made when somebody needs it
}

const (
	viewKept      = 30 * time.Second
	framesKept    = 120
	frameBytes    = 1 << 20 // of deltas that a view keeps
	maxCursor     = 128     // bytes
	maxBehindLive = 8       // frames that a slow reader may lag before it gets a snapshot
)

// cursorOf names a frame: the run of the node, the view, the frame.
func cursorOf(incarnation, instance, sequence uint64) string {
	return strconv.FormatUint(incarnation, 36) + "." + strconv.FormatUint(instance, 36) + "." + strconv.FormatUint(sequence, 36)
}

// place is the sequence in a cursor if it is one of this view.
func (v *view) place(cursor string, incarnation uint64) (sequence uint64, ok bool) {
	if len(cursor) > maxCursor {
		return 0, false
	}
	parts := strings.Split(cursor, ".")
	if len(parts) != 3 || parts[0] != strconv.FormatUint(incarnation, 36) || parts[1] != strconv.FormatUint(v.instance, 36) {
		return 0, false
	}
	n, err := strconv.ParseUint(parts[2], 36, 64)
	return n, err == nil && n > 0
}

// next brings the view up to the present slot and returns what a reader who has
// seen a frame still needs: the deltas after it, or a snapshot when it has seen
// none, too old a one, or is further behind than most.
func (v *view) next(seen uint64, most int, now time.Time, incarnation uint64) (deltas []*frame, snapshot *frame) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if slot := now.UnixNano() / int64(v.interval); slot > v.slot || !v.begun {
		v.compute(slot, incarnation)
	}
	newest := v.frames[len(v.frames)-1]
	oldest := v.frames[0].sequence
	if seen == 0 || seen > newest.sequence || seen+1 < oldest || newest.sequence-seen > uint64(most) {
		if newest.snapshot == nil {
			newest.snapshot = v.document(newest)
		}
		return nil, newest
	}
	return append(deltas, v.frames[seen+1-oldest:]...), nil
}

// compute makes the next frame.
func (v *view) compute(slot int64, incarnation uint64) {
	v.begun = true
	v.slot = slot
	v.computed.Add(1)
	m := v.source.refresh()
	f := &frame{sequence: 1, meta: appendMeta(nil, &m)}
	if n := len(v.frames); n > 0 {
		last := v.frames[n-1]
		last.snapshot = nil
		f.sequence = last.sequence + 1
		// Room for what deltas of this view usually take.
		f.delta = make([]byte, 0, len(last.delta)+256)
	}
	f.cursor = cursorOf(incarnation, v.instance, f.sequence)
	f.delta = append(append(append(f.delta, '{'), f.meta...), ',')
	f.delta = append(v.source.appendDelta(f.delta), '}')
	v.frames = append(v.frames, f)
	v.held += len(f.delta)
	drop := 0
	for ; len(v.frames)-drop > 1 && (v.held > frameBytes || len(v.frames)-drop > framesKept); drop++ {
		v.held -= len(v.frames[drop].delta)
	}
	if drop > 0 {
		v.frames = append(v.frames[:0], v.frames[drop:]...)
		clear(v.frames[len(v.frames):cap(v.frames)])
	}
}

func (v *view) document(f *frame) []byte {
	b := append(append([]byte{'{'}, f.meta...), ',')
	return append(v.source.appendSnapshot(b), '}')
}
