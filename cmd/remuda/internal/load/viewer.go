package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// viewer is one reader of a node's stream.
type viewer struct {
	base  *url.URL
	path  string // with its query
	shown *shown

	cursor   string
	revision uint64
	rows     map[string]sums // as last shown
	frames   []arrival
	seen     atomic.Uint64 // requests in the last frame

	bytes, snapshots, faults, reconnects atomic.Uint64
	count                                atomic.Uint64 // of frames, for the progress
	ready                                chan struct{} // closed when the first snapshot is there
	lastFault                            atomic.Pointer[string]
}

// arrival is a frame that changed what the viewer sees.
type arrival struct {
	at       time.Time
	requests uint64
}

// viewerPath is what viewers read: the providers of the run's profile, over the
// window out of which nothing falls while the run lasts.
func viewerPath(p *Plan, query int) string {
	q := url.Values{"profile": {p.Profile}, "window": {"1h"}, "interval": {p.Interval.String()}, "format": {"sse"}}
	if query > 0 {
		// Another limit makes another query, with the same rows.
		q.Set("limit", fmt.Sprint(10_000-query))
	}
	return "/api/v1/providers?" + q.Encode()
}

// follow reads the stream until the context ends, and comes back when it breaks.
func (v *viewer) follow(ctx context.Context) {
	for first := true; ctx.Err() == nil; first = false {
		if !first {
			v.reconnects.Add(1)
			select {
			case <-ctx.Done():
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
		if err := v.read(ctx); err != nil && ctx.Err() == nil {
			text := err.Error()
			v.lastFault.Store(&text)
		}
	}
}

// errFrame is wrapped by errors of frames, as opposed to lost connections.
var errFrame = errors.New("wrong frame")

// read reads one connection to its end.
func (v *viewer) read(ctx context.Context) error {
	conn, err := dial(ctx, v.base)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it was only read
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	head := "GET " + v.path + " HTTP/1.1\r\nHost: " + v.base.Host + "\r\nAccept: text/event-stream\r\n"
	if v.cursor != "" {
		head += "Last-Event-ID: " + v.cursor + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // the connection is closed as well
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", v.path, response.Status)
	}
	// Without chunks the body can be read where it is buffered already.
	if len(response.TransferEncoding) > 0 {
		reader = bufio.NewReader(response.Body)
	}
	return v.events(reader)
}

// dataBuffers are those that frames are read into; between frames a viewer has none.
var dataBuffers = sync.Pool{New: func() any { return new([]byte) }}

// events reads server-sent events, as the standard wants it but for data in
// several lines, which nodes do not send.
func (v *viewer) events(r *bufio.Reader) error {
	var name, id string
	var data *[]byte
	defer func() {
		if data != nil {
			dataBuffers.Put(data)
		}
	}()
	for {
		line, err := r.ReadSlice('\n')
		whole := err == nil
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		v.bytes.Add(uint64(len(line)))
		switch {
		case bytes.HasPrefix(line, []byte("data:")):
			data = dataBuffers.Get().(*[]byte)
			*data = append((*data)[:0], bytes.TrimPrefix(line[5:], []byte(" "))...)
			for !whole {
				line, err = r.ReadSlice('\n')
				if whole = err == nil; err != nil && !errors.Is(err, bufio.ErrBufferFull) {
					return err
				}
				v.bytes.Add(uint64(len(line)))
				*data = append(*data, line...)
			}
			*data = bytes.TrimRight(*data, "\r\n")
		case bytes.HasPrefix(line, []byte("event:")):
			name = string(bytes.TrimSpace(line[6:]))
		case bytes.HasPrefix(line, []byte("id:")):
			id = string(bytes.TrimSpace(line[3:]))
		case len(line) <= 2 && name != "":
			if data == nil {
				return fmt.Errorf("%w: %s without data", errFrame, name)
			}
			err := v.event(name, id, *data)
			dataBuffers.Put(data)
			data, name = nil, ""
			if err != nil {
				return err
			}
		}
	}
}

// event takes one event.
func (v *viewer) event(name, id string, data []byte) error {
	switch name {
	case "bye":
		return errors.New("the node said bye")
	case "snapshot", "delta":
	default:
		return nil
	}
	now := time.Now()
	v.count.Add(1)
	after, err := v.shown.take(name, id, v.cursor, data)
	if err == nil && after != nil && after.revision < v.revision {
		err = fmt.Errorf("%s %s goes from revision %d back to %d", name, id, v.revision, after.revision)
	}
	if err != nil {
		v.faults.Add(1)
		v.cursor = "" // what is held is of no use
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	v.cursor = id
	if after == nil {
		return nil // too far behind the others for their states; the next frames tell
	}
	v.revision, v.rows = after.revision, after.rows
	if len(v.frames) == 0 || v.frames[len(v.frames)-1].requests != after.requests {
		v.frames = append(v.frames, arrival{now, after.requests})
	}
	v.seen.Store(after.requests)
	if name == "snapshot" {
		if v.snapshots.Add(1) == 1 {
			close(v.ready)
		}
	}
	return nil
}

// waits adds the time from intent to arrival of every request that the viewer was
// shown, and returns how many it was not. Batches are in the order of their times.
func (v *viewer) waits(h *histogram, batches []posted) (missed uint64) {
	due, next := uint64(0), 0
	for _, f := range v.frames {
		for next < len(batches) && due+batches[next].requests <= f.requests {
			due += batches[next].requests
			h.add(f.at.Sub(batches[next].intended), batches[next].requests)
			next++
		}
	}
	for _, b := range batches[next:] {
		missed += b.requests
	}
	return missed
}
