package stream

import (
	"context"
	"errors"
	"time"
)

// sink writes a stream in one of its forms. Every call returns when its bytes are
// on the wire, or with an error when the reader is gone or too slow, or when the sink
// does not wait and the socket has no room.
type sink interface {
	frame(event string, fr *frame) error
	beat() error
	bye(reason, cursor string) error
}

// greeter is a sink that begins with a hello.
type greeter interface {
	sink
	hello(lastCursor string) error
}

// feeder is a subscriber's place in its view: a cursor, and no queue.
type feeder struct {
	streams *Streams
	sub     *subscriber
	view    *view
	seen    uint64 // sequence of the last frame sent
	cursor  string // of that frame
	left    int    // frames until max_frames; 0 = as many as there are
	due     []*frame
	zip     *zipping // nil unless the reader takes gzip
}

// errNoMemory ends a stream whose view reads have no memory for any more.
var errNoMemory = errors.New("no memory for the view")

// errDone ends a stream that has had all the frames it asked for.
var errDone = errors.New("done")

// run writes frames until the reader is gone (gone is closed or a write fails), max_frames
// is reached or the node drains. A reader that was slow skips what it missed: the view is
// the queue, and the latest frame wins.
//
// A stream ends in one of these ways; its last event is
//
//	bye done         max_frames were sent
//	bye shutdown     the node drains: all streams, at once and not at their next stroke
//	bye overloaded   there is no memory for its view any more
//	nothing          the reader is gone, which a write or the system tells; or it has not
//	                 acknowledged for the write timeout: then the connection is reset, so
//	                 that what was due then is not delivered late
//
// With max_frames=2 a reader gets hello, a snapshot, one delta and bye, whose id is that of
// the delta: who goes on from there misses nothing.
func (f *feeder) run(gone <-chan struct{}, out greeter) error {
	f.sub.acks.writing()
	if err := out.hello(f.cursor); err != nil {
		return err
	}
	f.sub.acks.written()
	most := framesKept // a reader that comes back may catch up with all that is kept
	for {
		wake := f.view.pace.next()
		if end, err := f.step(out, most, true); end || err != nil {
			return err
		}
		most = maxBehindLive
		select {
		case <-gone:
			if _, err := f.held(time.Now()); err != nil {
				return err // the system has given it up
			}
			return context.Canceled
		case <-wake:
		}
	}
}

// step writes what is due: the bye, which is the end, or what the reader has not seen,
// or, if there is nothing and beat is set, a sign of life.
func (f *feeder) step(out sink, most int, beat bool) (end bool, err error) {
	select {
	case <-f.streams.ending:
		return true, out.bye("shutdown", f.cursor)
	default:
	}
	now := time.Now()
	if held, err := f.held(now); held {
		return false, err
	}
	before := f.seen
	if end, err = f.judge(out, f.send(out, now, most)); end || err != nil {
		return end, err
	}
	if beat && f.seen == before {
		return false, f.beat(out)
	}
	return false, nil
}

// beat writes a sign of life.
func (f *feeder) beat(out sink) error {
	f.sub.acks.writing()
	if err := out.beat(); err != nil {
		return err
	}
	f.sub.acks.written()
	return nil
}

// held reports whether the reader has to acknowledge what it was sent before more is
// written; the error is that it had its time. An interval is as long as three halves of
// it: strokes do not come on the dot, and acknowledgements may come a little late.
func (f *feeder) held(now time.Time) (bool, error) {
	switch waited := f.sub.acks.waited(now); {
	case waited > f.streams.options.WriteTimeout:
		return true, errSlow
	default:
		return waited > f.view.interval*3/2, nil
	}
}

// judge makes the end of a stream that has had all its frames a good one.
func (f *feeder) judge(out sink, err error) (end bool, _ error) {
	if errors.Is(err, errDone) {
		return true, out.bye("done", f.cursor)
	}
	if errors.Is(err, errNoMemory) {
		return true, out.bye("overloaded", f.cursor)
	}
	return false, err
}

// send writes what the reader has not seen.
func (f *feeder) send(out sink, now time.Time, most int) error {
	var snapshot *frame
	var err error
	if f.due, snapshot, err = f.view.next(f.due[:0], f.seen, most, now, f.streams.options.Incarnation); err != nil {
		return errNoMemory
	}
	if snapshot != nil {
		f.sub.snapshots.Add(1)
		return f.write(out, "snapshot", snapshot)
	}
	defer clear(f.due) // the view alone keeps frames
	for _, d := range f.due {
		if err := f.write(out, "delta", d); err != nil {
			return err
		}
	}
	return nil
}

func (f *feeder) write(out sink, event string, fr *frame) error {
	f.sub.acks.writing()
	if err := out.frame(event, fr); err != nil {
		return err
	}
	return f.sent(fr)
}

// sent notes that a frame is on the wire.
func (f *feeder) sent(fr *frame) error {
	f.sub.acks.written()
	f.sub.lastWrite.Store(f.sub.acks.last / int64(time.Millisecond))
	f.sub.frames.Add(1)
	size := len(fr.data)
	if f.zip != nil {
		size = len(fr.zipped(f.sub.format == "ndjson").blocks())
	}
	f.sub.bytes.Add(uint64(size))
	f.streams.written.Add(1)
	f.streams.bytes.Add(uint64(size))
	f.seen, f.cursor = fr.sequence, fr.cursor
	if f.left > 0 {
		if f.left--; f.left == 0 {
			return errDone
		}
	}
	return nil
}
