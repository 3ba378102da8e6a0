package store

import (
	"time"

	"remuda/store/cell"
)

// A Filter keeps what matches: an empty list takes all, several values are an "or".
type Filter [NumDims][]string

// Keeps reports whether the filter keeps a value of a dimension.
func (f *Filter) Keeps(d Dim, value string) bool { return matches(f[d], value) }

// A Query asks for rows: the calls that pass Filter, grouped by By, over cell.Window.
type Query struct {
	Filter Filter
	By     []Dim // the key of a row is the values in this order, joined by "/"
	Window cell.Window

	// Providers adds ProviderState to every row. By must then hold ChainDim and ProviderDim.
	Providers bool
	// ExpandRegions and ExpandMethods add the parts of a provider row.
	ExpandRegions, ExpandMethods bool
	// Compare adds the figures of the time before the window, see previousSpan.
	Compare bool

	// Pause is called between pieces of the work, with no lock held, unless it is nil: for
	// a caller that is not to keep a processor for long. A piece takes some ms at most.
	Pause func()

	// Grow is asked while a table is brought up to date or points are made, under no lock, whether that may take
	// about so many bytes. If not, Refresh stops. Nil is always yes.
	Grow func(bytes int64) bool
}

// Figures are what a group of calls adds up to.
type Figures struct {
	cell.Counts
	cell.Latencies
	Categories []cell.CategoryCount // by category, counts above 0

	ScopeCalls uint64 // what traffic_pct is a share of
	LastSeenAt int64  // newest ts counted in the last hour, not only in the window; 0 = none
}

// Row is one row of a table.
type Row struct {
	Key  string
	Dims [NumDims]string // "" for dimensions the query does not group by
	Figures

	Previous *Figures       // before the window; nil unless the query asked for it and all of it is known
	Provider *ProviderState // nil unless the query asked for it
	Regions  []Row          // by key; nil unless the query asked for it
	Methods  []Row          // most calls first, at most 10; nil unless the query asked for it
}

// ProviderState is what latest values say about a provider on a chain, merged
// over transports, regions and senders as the query's filter allows.
type ProviderState struct {
	Circuit          [2]CircuitState // by Transport: the worst fresh report; CircuitUnknown without one
	CircuitsOpen     int
	CircuitsKnown    int
	HasHeight        bool // false: Height means nothing
	Height           uint64
	HasLag           bool  // false: LagBlocks means nothing, since nobody else says how high the chain is
	LagBlocks        int64 // negative = behind
	BlocksAhead      int64 // above 0: of a height that must be of another chain, by so much
	HasHealth        bool
	Health           HealthStatus // the worst fresh report
	Failures         uint32       // consecutive failures, the most over fresh reports; only with HasHealth
	RegionsReporting int
	Status           Status
	StatusReasons    []string
	SilentSince      int64 // ms; above 0: it was bad when it was last heard of, then
}

// Status sums up a provider in a word.
type Status uint8

// The statuses, the most alarming first.
const (
	StatusCircuitOpen Status = iota
	StatusRateLimited
	StatusRecovering
	StatusFailing
	StatusDegraded
	StatusLagging
	StatusHealthy
	StatusUnknown
)

func (s Status) String() string { return statusNames[s] }

var statusNames = [...]string{"circuit_open", "rate_limited", "recovering", "failing", "degraded", "lagging", "healthy", "unknown"}

// Meta says how far an answer can be trusted. All readers get one.
type Meta struct {
	Node          string
	Incarnation   uint64
	Revision      uint64
	At            int64 // ms since the epoch
	Window        cell.Window
	CoveredMillis int64

	NodesReporting, NodesKnown     int
	SendersReporting, SendersKnown int
	OldestNodeAgeMillis            int64
	OverflowCalls                  uint64
}

// CircuitReport is the latest report of one circuit breaker by one sender.
type CircuitReport struct {
	Key, Profile, Chain, ProviderID, Region, Sender string
	Transport                                       Transport
	State                                           CircuitState
	Reason                                          string
	SinceAt, LastSeenAt                             int64
	Stale                                           bool
}

// BlockReport is the latest height that one sender saw at a provider.
type BlockReport struct {
	Key, Profile, Chain, ProviderID, Region, Sender string
	Height                                          uint64
	LagBlocks                                       int64 // against the consensus of the chain in the region; only with HasLag
	HasLag                                          bool  // false when the report is stale, or there is no consensus
	Source                                          HeightSource
	LastSeenAt                                      int64
	Stale                                           bool
}

// HealthReport is the latest health that one sender gave a provider.
type HealthReport struct {
	Key, Profile, Chain, ProviderID, Region, Sender string
	Transport                                       Transport
	Status                                          HealthStatus
	ConsecutiveFailures, ConsecutiveSuccesses       uint32
	HasLatency                                      bool
	LatencyMicros                                   uint64
	Reason                                          string
	LastSeenAt                                      int64
	Stale                                           bool
}

// CircuitChange is one transition of a circuit breaker.
type CircuitChange struct {
	Key, Profile, Chain, ProviderID, Region, Sender string
	Transport                                       Transport
	From, To                                        CircuitState
	Reason                                          string
	At                                              int64
	Seq                                             uint64 // order of arrival at the node that it was reported to
}

// Sender is a gateway process that reports.
type Sender struct {
	Key, Profile, SourceNode, Region string
	LastSeenAt                       int64 // 0 when all it sent was refused
	Reporting                        bool
	Calls                            uint64  // by weight, of the last minute by their ts
	CallsPerSecond                   float64 // Calls over the covered seconds of that minute
	// LatenessMillis is how old the events of the sender's last body were at
	// arrival, at most; OffsetMillis is arrival minus ts of its newest event, so
	// a clock that is ahead makes it negative. Both only with HasClock: a batch had
	// events with a ts, circuits aside.
	HasClock       bool
	LatenessMillis int64
	OffsetMillis   int64
	// Rejected counts its events that were refused since it is known; of the last when
	// (0: there is none) and why.
	Rejected   uint64
	RejectedAt int64
	Fault      Fault
}

// DecisionRecord is a decision kept for the feed.
type DecisionRecord struct {
	Key           string // unique and stable
	Seq           uint64 // order of arrival, for cursors
	TS            int64
	RequestID     string
	EventID       string
	Profile       string
	Node          string
	SourceNode    string
	Region        string
	Chain         string
	Method        string
	Strategy      string
	ProviderID    string
	Transport     Transport
	RequestOrigin RequestOrigin
	Result        cell.Result
	CallReason    CallReason
	ErrorCategory string
	ErrorCode     string
	FailoverCount uint32
	Weight        uint32
	// HasUpstream is false when the sender gave no upstream_ms.
	HasUpstream    bool
	DurationMicros uint64
	UpstreamMicros uint64
	Attempts       []Attempt
	// ByAttempt says that a query found it by another try than the one that ended it.
	ByAttempt bool

	origin *origin
	number uint64 // at its origin
	stamp  uint32 // 0: not closed, or not for others
}

// DecisionQuery asks for decisions of the feed.
type DecisionQuery struct {
	Filter            Filter
	RequestID         string        // "" = any
	ErrorCategories   []string      // empty = any
	Results           []cell.Result // empty = any
	MinDurationMicros uint64
	Limit             int

	// Continue after the decision with this ts and sequence; zero = from the newest.
	BeforeTS  int64
	BeforeSeq uint64
	// Only decisions that arrived after this sequence; zero = all kept.
	AfterSeq uint64
}

// Decisions is one page of the feed, newest ts first.
type Decisions struct {
	Rows []DecisionRecord
	More bool // older ones match too
	// Seen counts the decisions of the profiles since the node started, Shown
	// those of them that entered the feed. Counts are never sampled, the feed is.
	Seen, Shown uint64
	// ByRegion and ByNode say of whom all that the query takes is.
	ByRegion, ByNode map[string]int
	// LastSeq is the newest sequence given out: the next AfterSeq.
	LastSeq uint64
}

// Point is the figures of one step.
type Point struct {
	At            int64 // start of the step, ms since the epoch
	Known         bool  // false: it is not known what was in the step
	CoveredMillis int64 // how much of the step is known, so far
	Figures
}

// SeriesGroup is the points of one group, one a step, oldest first, without
// gaps: a step without calls has zero counts and None latencies.
type SeriesGroup struct {
	Key    string
	Dims   [NumDims]string
	Points []Point
}

// HistogramPoint is the distribution of successes of one step.
type HistogramPoint struct {
	At      int64
	Buckets []cell.Bucket // ascending, counts above 0
}

// HistogramGroup is the distributions of one group, steps without successes left out.
type HistogramGroup struct {
	Key    string
	Dims   [NumDims]string
	Points []HistogramPoint
}

// Member is a node of the cluster as this node sees it.
type Member struct {
	Name, Region, HTTPAddr string
	State                  string // alive, leaving, left, failed
	Stale, Restarting      bool
	Known, Reporting       bool // counts in the coverage as known, as reporting
	Silent                 bool // for so long that its latest values are not known any more
	Alone                  bool // this node, which was to join others, and none is here
	Incarnation, Sequence  uint64
	DeltaAgeMillis         int64
	GapsTotal, PullsTotal  uint64
	HasInlineShare         bool
	InlineShare            float64
	DivergenceTotal        uint64
	BytesIn, BytesOut      uint64
	ClockSkewMillis        int64
	ClockStep              *ClockStep // the last time that its wall clock was put back or forward, as far as it told
}

// Usage is what the store holds, against what it may hold.
type Usage struct {
	Series, MaxSeries               int
	MaxSeriesPerProfile             int
	Profiles, MaxProfiles           int
	LatestValues, MaxLatestValues   int
	Senders, MaxSenders             int
	Categories, MaxCategories       int
	OverflowCalls                   uint64
	DedupBytes, MaxDedupBytes       int64
	TotalBytes, MaxTotalBytes       int64
	DedupIdentities                 int64
	DedupPeriod                     time.Duration // for how long every repeat is found now
	ClockSteps                      uint64
	EventsAccepted, EventsDuplicate uint64
}

// CounterRow is what this node itself counted for one provider since it
// started, see [Store.Counters].
type CounterRow struct {
	Profile, Chain, ProviderID string
	Transport                  Transport
	Living                     bool // has anything in the last hour
	cell.Counts
	LatencySumMicros float64
}
