package post

import (
	"log/slog"
	"sync"

	"remuda/httpapi/problem"
	"remuda/store"
)

// refusedLog tells the log of refused events, once a minute at most: how many they
// are since it last did, and who sent one of them.
type refusedLog struct {
	mu     sync.Mutex
	toldAt int64  // ms
	events uint64 // since then
}

const refusedLogPause = 60_000 // ms

// note takes note of a body, by a clock.
func (l *refusedLog) note(log *slog.Logger, clock func() int64, r *store.Receipt, err error) {
	example := store.Refusal{}
	refused := uint64(r.Rejected)
	switch {
	case err == nil && len(r.Refusals) > 0:
		example = r.Refusals[0]
	case problem.Code(err) == "malformed_body":
		refused, example.Code, example.Detail = 1, problem.Code(err), err.Error()
	default:
		return
	}
	now := clock()
	l.mu.Lock()
	l.events += refused
	events := l.events
	tell := l.toldAt == 0 || now-l.toldAt >= refusedLogPause
	if tell {
		l.toldAt, l.events = now, 0
	}
	l.mu.Unlock()
	if tell {
		log.Warn("events were refused; /api/v1/senders and /api/v1/attention say whose", "events", events,
			"sender", example.Sender, "code", example.Code, "field", example.Field, "detail", example.Detail)
	}
}
