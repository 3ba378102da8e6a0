package stream

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"remuda/httpapi/memory"
)

// A view is one canonical query at one interval, shared by all who ask the same.
// Its frames come at multiples of the interval. Whichever subscriber gets there
// first computes the frame while the others wait for it; all of them then send
// the same bytes. A view that nobody reads does nothing, and is dropped after
// viewKept, so that a reader who lost its connection can go on where it was.
type view struct {
	key      string
	path     string
	query    string // canonical
	interval time.Duration
	pace     *pace
	seats    seats
	computed *atomic.Uint64
	turn     turn

	mu       sync.Mutex // held while a frame is computed: that is what makes it one computation
	source   Source
	lease    *memory.Lease // of all that is below
	frames   memory.Share
	refused  atomic.Int64 // when it was found that there is no memory for it, ns since the epoch
	instance uint64
	slot     int64    // the multiple of the interval that the newest frame belongs to
	meta     []byte   // `"meta":{…}` of the newest frame
	deltas   []*frame // from the frame before to each, the newest last
	held     int      // bytes of deltas
	whole    int      // bytes of the largest frame: about what a snapshot takes
	snapshot *frame   // the newest frame whole; nil until somebody needs it
	readers  int
	idle     *time.Timer // drops the view when it fires
	begun    bool
}

// A Source is the live content of a query. It belongs to one goroutine at a time. When
// there is no memory for it, the lease has the error.
type Source interface {
	Refresh()
	AppendMeta(dst []byte) []byte     // "meta":{…}
	AppendSnapshot(dst []byte) []byte // members that follow it, with everything
	AppendDelta(dst []byte) []byte    // members that follow it, with what differs between the last two refreshes
}

// frame is one state of a view, or the way to it from the one before. What it says is
// never changed, so that all subscribers can share it.
type frame struct {
	sequence uint64
	cursor   string
	event    string
	wire     []byte // the whole event as a chunk of HTTP/1.1
	data     []byte // of wire: the JSON document

	zip [2]struct { // made when the first reader takes it: as an event, as a line
		once sync.Once
		part *zipped
	}
}

// text is the whole event.
func (f *frame) text() []byte { return f.wire[len(chunkHead) : len(f.wire)-len("\r\n")] }

// zipped is the frame compressed, as an event or as a line of JSON.
func (f *frame) zipped(line bool) *zipped {
	z := &f.zip[0]
	if line {
		z = &f.zip[1]
	}
	z.once.Do(func() {
		plain := f.text()
		if line {
			plain = append(append(lineHead(f.event), f.data[1:]...), lineEnd...)
		}
		z.part = deflate(plain)
	})
	return z.part
}

// newFrame makes a frame of what content appends. Room is for how many bytes.
func newFrame(event string, sequence uint64, cursor string, room int, content func([]byte) []byte) *frame {
	f := &frame{sequence: sequence, cursor: cursor, event: event}
	wire := append(make([]byte, 0, room+len(cursor)+64), chunkHead...)
	wire = appendEventHead(wire, event, cursor)
	begin := len(wire)
	wire = content(wire)
	end := len(wire)
	wire = append(wire, "\n\n"...)
	closeChunk(wire)
	f.wire = append(wire, "\r\n"...)
	f.data = f.wire[begin:end:end]
	return f
}

const (
	viewKept      = 30 * time.Second
	framesKept    = 120
	leastKept     = 64 << 10 // bytes of deltas, see keep
	mostKept      = 1 << 20
	maxCursor     = 128 // bytes
	maxBehindLive = 8   // frames that a slow reader may lag before it gets a snapshot
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
// seen a frame still needs: the deltas after it, appended to dst, or a snapshot when
// it has seen none, too old a one, or is further behind than most, or is late and a snapshot
// is shorter.
//
// By example: the newest frame is number 40, the deltas 31 to 40 are kept, each of 2 KB, and
// a snapshot has 12 KB.
//
//	seen 39, live            delta 40
//	seen 33, live            snapshot 40: seven deltas (34 to 40) have 14 KB, more than it
//	seen 33, comes back      deltas 34 to 40: it may want to know what happened
//	seen 30, comes back      deltas 31 to 40: 31 leads from 30
//	seen 29, comes back      snapshot 40: the delta from there is not kept any more
//	seen 0, or another run   snapshot 40
//	seen 40                  nothing
//
// The error is that there is no memory for the view, which is its end.
func (v *view) next(dst []*frame, seen uint64, most int, now time.Time, incarnation uint64) (deltas []*frame, snapshot *frame, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if slot := now.UnixNano() / int64(v.interval); slot > v.slot || !v.begun {
		v.compute(slot, incarnation)
	}
	if v.lease.Err != nil {
		return nil, nil, v.giveUp()
	}
	newest := v.deltas[len(v.deltas)-1].sequence
	oldest := v.deltas[0].sequence
	if seen > 0 && seen <= newest && seen+1 >= oldest && newest-seen <= uint64(most) {
		if due := v.deltas[seen+1-oldest:]; most != maxBehindLive || len(due) < 2 || v.sum(due) <= v.whole {
			return append(dst, due...), nil, nil
		}
	}
	if v.makeSnapshot(); v.lease.Err != nil {
		return nil, nil, v.giveUp()
	}
	return dst, v.snapshot, nil
}

// makeSnapshot makes the newest frame whole unless it is there.
func (v *view) makeSnapshot() {
	if v.snapshot == nil {
		newest := v.deltas[len(v.deltas)-1].sequence
		v.snapshot = newFrame("snapshot", newest, v.deltas[len(v.deltas)-1].cursor, v.whole+1024, func(dst []byte) []byte {
			return append(v.source.AppendSnapshot(v.appendMeta(dst)), '}')
		})
		v.whole = max(v.whole, len(v.snapshot.data))
		v.account()
	}
}

// prepare makes the first frame of a view, which may take long and much memory, and in
// which wide ones take turns. It reports why there is none.
func (v *view) prepare(now time.Time, incarnation uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.begun {
		defer v.lease.Trim() // also when it panics: others wait for its turn
		v.compute(now.UnixNano()/int64(v.interval), incarnation)
		if v.lease.Err == nil {
			v.makeSnapshot()
		}
	}
	if v.lease.Err != nil {
		return v.giveUp()
	}
	return nil
}

// giveUp lets go of all that a view holds for which there is no memory.
func (v *view) giveUp() error {
	v.refused.CompareAndSwap(0, time.Now().UnixNano())
	v.source, v.deltas, v.snapshot = nil, nil, nil
	v.lease.End()
	return v.lease.Err
}

// account says what the frames that are kept take.
func (v *view) account() {
	bytes := v.held
	if v.snapshot != nil {
		bytes += len(v.snapshot.data)
	}
	v.frames.Need(int64(bytes) * 5 / 4) // with what they are once compressed
	if v.lease.Settled {
		v.lease.Trim()
	}
}

func (v *view) sum(list []*frame) (bytes int) {
	for _, f := range list {
		bytes += len(f.data)
	}
	return bytes
}

// pause is called between pieces of the computation: of the first frame, for which the
// lease has a turn if it is wide, or of another.
func (v *view) pause() {
	v.lease.Pause()
	v.turn.pause()
}

// compute makes the next frame.
func (v *view) compute(slot int64, incarnation uint64) {
	if v.refused.Load() != 0 {
		return
	}
	v.slot = slot
	v.computed.Add(1)
	if v.begun { // the first time a lease has turns of its own
		v.turn.take()
		defer v.turn.give()
	}
	v.begun = true
	v.snapshot = nil
	v.source.Refresh()
	if v.lease.Err != nil {
		return
	}
	v.meta = v.source.AppendMeta(nil)
	sequence, room := uint64(1), 1024
	if n := len(v.deltas); n > 0 {
		sequence = v.deltas[n-1].sequence + 1
		room = len(v.deltas[n-1].data) + 256 // what deltas of this view usually take
	}
	if sequence == 1 { // there is nothing that it could be the way from
		v.keep(&frame{sequence: 1, cursor: cursorOf(incarnation, v.instance, 1)})
		return
	}
	f := newFrame("delta", sequence, cursorOf(incarnation, v.instance, sequence), room, func(dst []byte) []byte {
		return append(v.source.AppendDelta(v.appendMeta(dst)), '}')
	})
	v.keep(f)
	v.account()
}

// keep adds a delta to those that are kept, and lets the oldest go: together they are
// to be no longer than a snapshot, which then serves a reader as well, unless that is
// short.
func (v *view) keep(f *frame) {
	v.deltas = append(v.deltas, f)
	v.held += len(f.data)
	v.whole = max(v.whole, len(f.data))
	most := min(max(v.whole, leastKept), mostKept)
	drop := 0
	for ; len(v.deltas)-drop > 1 && (v.held > most || len(v.deltas)-drop > framesKept); drop++ {
		v.held -= len(v.deltas[drop].data)
	}
	v.deltas = slices.Delete(v.deltas, 0, drop)
}

// appendMeta appends the beginning of a document.
func (v *view) appendMeta(dst []byte) []byte { return append(append(append(dst, '{'), v.meta...), ',') }
