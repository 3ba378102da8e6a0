package answer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"remuda/httpapi/ask"
	"remuda/httpapi/memory"
	"remuda/httpapi/value"
	"remuda/store"
	"remuda/store/cell"
)

// maxAppended bounds the decisions in one delta: people cannot read more.
const maxAppended = 50

// decisionSource is the feed of decisions. It only ever adds: a delta has what
// came since the one before, the newest 50 of it, and how many there were.
type decisionSource struct {
	api    *Answers
	params *ask.Params
	page   Collection // the newest decisions, as of the first refresh or the last snapshot
	fresh  Collection // what the last refresh found
	begun  bool
	stale  bool   // page is older than the last refresh
	last   uint64 // sequence of the newest decision known
	seen   uint64 // decisions the feed is a sample of
	news   uint64 // what the last refresh added to seen
}

func newDecisionSource(a *Answers, p *ask.Params, _ func()) source {
	return &decisionSource{api: a, params: p, page: Collection{params: p}, fresh: Collection{params: p}}
}

func (d *decisionSource) lease(l *memory.Lease) {
	d.page.lease(l)
	d.fresh.lease(l)
}

func (d *decisionSource) query() store.DecisionQuery {
	p := d.params
	return store.DecisionQuery{
		Filter: p.Filter, RequestID: p.RequestID, ErrorCategories: p.Categories, Results: p.Results,
		MinDurationMicros: p.MinDuration, Limit: p.Limit, BeforeTS: p.BeforeTS, BeforeSeq: p.BeforeSeq,
	}
}

// Decided reports whether the store has a decision of a request.
func (a *Answers) Decided(p *ask.Params) bool {
	return len(a.store.Decisions(store.DecisionQuery{Filter: p.Filter, RequestID: p.RequestID, Limit: 1}).Rows) > 0
}

func (d *decisionSource) refresh() meta {
	m := plainMeta(d.api, d.params)
	d.fresh.clear()
	if !d.begun {
		d.begun = true
		page, next := d.list()
		d.last, d.seen = page.LastSeq, page.Seen
		m.truncated = page.More
		return m.withFeed(&page, next)
	}
	d.stale = true
	q := d.query()
	q.AfterSeq, q.Limit = d.last, maxAppended
	page := d.api.store.Decisions(q)
	for i := range page.Rows {
		d.fresh.decision(&page.Rows[i], d.params)
	}
	d.news = page.Seen - d.seen
	d.last, d.seen = page.LastSeq, page.Seen
	return m.withFeed(&page, nil)
}

// list fills page and returns the cursor of the next one.
func (d *decisionSource) list() (store.Decisions, []byte) {
	d.page.clear()
	page := d.api.store.Decisions(d.query())
	for i := range page.Rows {
		d.page.decision(&page.Rows[i], d.params)
	}
	if d.params.Sort != "" {
		arrange(&d.page.rows, &d.page.spare, d.params, true)
	}
	if !page.More {
		return page, nil
	}
	last := &page.Rows[len(page.Rows)-1]
	return page, fmt.Appendf(nil, `"%d.%d"`, last.TS, last.Seq)
}

func (d *decisionSource) records() []*Record {
	if d.stale {
		d.list()
		d.stale = false
	}
	return d.page.rows
}

func (d *decisionSource) appendSnapshot(dst []byte) []byte {
	return appendRows(dst, `"rows":`, d.records(), d.params.Fields)
}

func (d *decisionSource) appendDelta(dst []byte) []byte {
	dst = appendRows(dst, `"append":`, d.fresh.rows, d.params.Fields)
	dst = value.AppendUint(append(dst, `,"seen":`...), d.news)
	return value.AppendUint(append(dst, `,"shown":`...), uint64(len(d.fresh.rows)))
}

func (m meta) withFeed(page *store.Decisions, next []byte) meta {
	if next == nil {
		next = []byte("null")
	}
	m.extra = append(append([]byte(`,"next_cursor":`), next...), `,"seen":`...)
	m.extra = strconv.AppendUint(m.extra, page.Seen, 10)
	m.extra = strconv.AppendUint(append(m.extra, `,"shown":`...), page.Shown, 10)
	m.extra = appendTally(append(m.extra, `,"sample":{"by_region":`...), page.ByRegion)
	m.extra = append(appendTally(append(m.extra, `,"by_node":`...), page.ByNode), '}')
	return m
}

// maxTallied is how many names a tally lists, those with the most; the rest are one.
const maxTallied = 64

// appendTally appends how many there are of each name.
func appendTally(dst []byte, n map[string]int) []byte {
	names := slices.SortedFunc(maps.Keys(n), func(a, b string) int { return cmp.Or(cmp.Compare(n[b], n[a]), strings.Compare(a, b)) })
	rest := 0
	for len(names) > maxTallied {
		rest += n[names[len(names)-1]]
		names = names[:len(names)-1]
	}
	slices.Sort(names)
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = value.AppendUint(append(value.AppendString(dst, name), ':'), uint64(n[name]))
	}
	if rest > 0 {
		dst = value.AppendUint(append(dst, `,"__other__":`...), uint64(rest))
	}
	return append(dst, '}')
}

// decision adds the record of a decision.
func (c *Collection) decision(d *store.DecisionRecord, p *ask.Params) {
	r := c.Add(d.Key)
	r.eventText("type", "decision")
	r.Instant("ts", d.TS)
	r.textOrNull("request_id", d.RequestID)
	r.textOrNull("event_id", d.EventID)
	r.Text("profile", d.Profile)
	r.Text("node", d.Node)
	r.Text("source_node", d.SourceNode)
	r.Text("region", d.Region)
	r.alias("source_region")
	r.Text("chain", d.Chain)
	r.Text("method", d.Method)
	r.Text("strategy", d.Strategy)
	r.Text("provider_id", d.ProviderID)
	r.Text("transport", d.Transport.String())
	r.Text("request_origin", d.RequestOrigin.String())
	r.Text("result", d.Result.String())
	r.textOrNull("reason", d.CallReason.String())
	r.textOrNull("error_category", d.ErrorCategory)
	r.textOrNull("error_code", d.ErrorCode)
	r.millis("duration_ms", cell.Micros(d.DurationMicros))
	if d.HasUpstream {
		r.millis("upstream_ms", cell.Micros(d.UpstreamMicros))
	} else {
		r.Null("upstream_ms")
	}
	r.Count("failover_count", uint64(d.FailoverCount))
	r.Count("weight", uint64(d.Weight))
	r.value("attempts", func(dst []byte) []byte { return appendAttempts(dst, d.Attempts) })
	if len(p.Filter[store.ProviderDim]) > 0 {
		by := "provider_id"
		if d.ByAttempt {
			by = "attempts"
		}
		r.Text("found_by", by)
	}
}

func appendAttempts(dst []byte, attempts []store.Attempt) []byte {
	var r Record
	dst = append(dst, '[')
	for i := range attempts {
		a := &attempts[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		r.buf, r.members = r.buf[:0], r.members[:0]
		r.Text("provider_id", a.ProviderID)
		r.Text("transport", a.Transport.String())
		r.millis("duration_ms", cell.Micros(a.DurationMicros))
		r.Text("result", a.Result.String())
		r.textOrNull("reason", a.Reason.String())
		r.textOrNull("error_category", a.ErrorCategory)
		r.textOrNull("error_code", a.ErrorCode)
		dst = r.appendJSON(dst, nil)
	}
	return append(dst, ']')
}
