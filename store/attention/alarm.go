package attention

import "remuda/store"

// Severity is how much an alarm matters.
type Severity uint8

// The severities, the worst first.
const (
	Critical Severity = iota
	Warning
	Notice
)

func (s Severity) String() string { return [...]string{"critical", "warning", "notice"}[s] }

// An Alarm is one thing that is wrong: what, since when, and the rule that says so.
type Alarm struct {
	Key      string // the subject and what names it: provider/base/ankr_1
	Severity Severity
	Rule     string
	Subject  string // provider, chain, node, sender, profile
	Profile  string
	Chain    string
	Provider string
	Sender   string
	Node     string
	Detail   string
	SinceAt  int64  // ms since the epoch
	Calls    uint64 // in the window, of the subject; only of providers and chains
	HasCalls bool
	Rank     int // of the rule, 0 is the worst
	status   store.Status
	byCalls  bool // of calls that are beyond what status allows: when it began can be told from what is kept
}

// The rules in the order of their weight. Those of providers are their statuses.
var alarmRules = map[string]struct {
	rank     int
	severity Severity
}{
	"chain_down": {0, Critical}, "circuit_open": {1, Critical}, "chain_stalled": {1, Critical}, "node_failed": {2, Critical}, "failing": {3, Critical},
	"rate_limited": {4, Warning}, "degraded": {5, Warning}, "recovering": {6, Warning}, "lagging": {7, Warning},
	"heights_disagree": {7, Warning}, "unknown": {7, Warning},
	"node_stale": {8, Warning}, "sender_silent": {9, Warning}, "sender_clock": {10, Warning}, "sender_late": {10, Warning},
	"events_refused": {10, Warning},
	"overflow":       {11, Warning}, "node_alone": {12, Warning}, "node_clock": {12, Warning}, "checkpoint_failing": {12, Warning}, "node_restarting": {13, Notice},
}
