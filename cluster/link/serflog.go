package link

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"
)

// A Log passes what serf and memberlist log on to slog. Much of that is about what
// comes from outside, a line for every packet that cannot be read for example, so of
// lines of one kind one a minute is logged, with the number of those left out.
type Log struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	kinds map[string]*logged
	swept time.Time // when kinds that had not come for long were last forgotten
}

// logged is what was logged of a kind of lines.
type logged struct {
	at      time.Time
	leftOut int
}

const (
	logEvery = time.Minute
	// maxLogKinds bounds the kinds that are told apart. Beyond it all others are one,
	// until some have not come for logEvery.
	maxLogKinds = 256
)

// NewLog returns one that logs to log.
func NewLog(log *slog.Logger) *Log {
	return &Log{log: log, now: time.Now, kinds: make(map[string]*logged)}
}

// Write takes a line, which begins with its level.
func (l *Log) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := slog.LevelDebug
	for name, is := range map[string]slog.Level{"[INFO] ": slog.LevelDebug, "[WARN] ": slog.LevelInfo, "[ERR] ": slog.LevelWarn} {
		if rest, ok := strings.CutPrefix(text, name); ok {
			text, level = rest, is
		}
	}
	if strings.Contains(text, "received old event") { // hundreds after a pause; deltas do not mind
		level = slog.LevelDebug
	}
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return len(line), nil
	}
	if level == slog.LevelDebug {
		l.log.Debug(strings.TrimPrefix(text, "[DEBUG] "))
		return len(line), nil
	}
	switch leftOut, now := l.due(kindOf(text)); {
	case !now:
	case leftOut > 0:
		l.log.Log(ctx, level, text, "left_out", leftOut)
	default:
		l.log.Log(ctx, level, text)
	}
	return len(line), nil
}

// kindOf is a line up to what differs between lines of its kind: a number, a name in
// quotes, an address, or what follows its second colon.
func kindOf(text string) string {
	colons := 0
	end := strings.IndexFunc(text, func(r rune) bool {
		if r == ':' {
			colons++
		}
		return colons == 2 || strings.ContainsRune(`0123456789'"[(=`, r)
	})
	if end < 0 {
		return text
	}
	return text[:end]
}

// due reports whether a line is to be logged now, and how many of its kind were left
// out before it.
func (l *Log) due(kind string) (leftOut int, now bool) {
	at := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[kind]
	if k == nil && len(l.kinds) >= maxLogKinds {
		if at.Sub(l.swept) >= time.Second {
			l.swept = at
			maps.DeleteFunc(l.kinds, func(_ string, old *logged) bool { return at.Sub(old.at) >= logEvery })
		}
		if len(l.kinds) >= maxLogKinds {
			kind = ""
			k = l.kinds[kind]
		}
	}
	if k == nil {
		l.kinds[kind] = &logged{at: at}
		return 0, true
	}
	if at.Sub(k.at) < logEvery {
		k.leftOut++
		return 0, false
	}
	leftOut = k.leftOut
	k.at, k.leftOut = at, 0
	return leftOut, true
}
