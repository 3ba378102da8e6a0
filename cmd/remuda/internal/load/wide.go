package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"remuda/store/cell"
)

// Wide readers are readers that ask for as much as they can: half of them for one answer of
// thousands of rows after the other, half for streams of 100 such topics. They come and go
// in turns, all of them at once, so that the posts beside them can be told from the posts
// without them, whatever else the machine does meanwhile.
type wideReaders struct {
	client  *http.Client
	mu      sync.Mutex
	answers map[string]uint64 // by kind and status: how many
}

const (
	wideRows = 9000 // that they ask for
	// wideRest is how long after they came or went posts are of neither phase.
	wideRest = time.Second
	// wideRefused is how long a reader waits that was told to come again.
	wideRefused = time.Second
)

// beside says what a batch is measured by that was to be posted at a time since the
// start: 0 for without wide readers, 1 for beside them, -1 for neither. The first phase,
// in which a node gets its series, is neither.
func (p *Plan) beside(since time.Duration) int {
	phase := int(since / p.WideEvery)
	if p.WideReaders == 0 || phase == 0 || since%p.WideEvery < wideRest {
		return -1
	}
	return phase % 2
}

// come lets the readers come and go until the context ends.
func (w *wideReaders) come(ctx context.Context, r *run) {
	for phase := 1; ; phase += 2 {
		if !sleep(ctx, time.Until(r.began.Add(time.Duration(phase)*r.plan.WideEvery))) {
			return
		}
		there, leave := context.WithDeadline(ctx, r.began.Add(time.Duration(phase+1)*r.plan.WideEvery))
		var group sync.WaitGroup
		for i := range r.plan.WideReaders {
			base := r.nodes[i%len(r.nodes)].url
			group.Go(func() {
				for there.Err() == nil {
					kind, path := "answers", widePath(&r.plan, i)
					if i%2 == 1 {
						kind, path = "streams", wideStream(&r.plan)
					}
					w.read(there, base, kind, path)
				}
			})
		}
		group.Wait()
		leave()
	}
}

// read reads one answer to its end.
func (w *wideReaders) read(ctx context.Context, base *url.URL, kind, path string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.String()+path, nil)
	if err != nil {
		panic(err) // the URL of a node and a path of our own
	}
	status := "no answer"
	resp, err := w.client.Do(req)
	if err == nil {
		status = resp.Status[:3]
		if _, err = io.Copy(io.Discard, resp.Body); err != nil && kind == "answers" {
			status += ", broken off"
		}
		_ = resp.Body.Close() // it was only read
	}
	if ctx.Err() == nil || resp != nil && kind == "streams" {
		w.mu.Lock()
		w.answers[kind+" "+status]++
		w.mu.Unlock()
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		sleep(ctx, wideRefused)
	}
}

// sleep reports whether the context lasted as long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

var wideWindows = func() (names []string) {
	for w := range cell.NumWindows {
		names = append(names, w.String())
	}
	return names
}()

// widePath is one of the answers that a reader asks for.
func widePath(p *Plan, reader int) string {
	return "/api/v1/" + wideTopic("chain,provider_id,method", wideWindows[reader/2%len(wideWindows)], wideRows-reader) + "&profile=" + url.QueryEscape(p.Profile)
}

func wideTopic(by, window string, limit int) string {
	return fmt.Sprintf("stats?by=%s&window=%s&limit=%d", by, window, limit)
}

// wideStream is the path of a stream of 100 topics, of 25 different tables.
func wideStream(p *Plan) string {
	var b strings.Builder
	b.WriteString("/api/v1/stream?interval=1s")
	for _, window := range wideWindows {
		for _, by := range []string{"method", "chain,method", "provider_id,method", "chain,provider_id,method", "chain,provider_id"} {
			for less := range 4 {
				b.WriteString("&topic=" + url.QueryEscape(wideTopic(by, window, wideRows-less)+"&profile="+url.QueryEscape(p.Profile)))
			}
		}
	}
	return b.String()
}
