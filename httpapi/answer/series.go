package answer

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"remuda/httpapi/ask"
	"remuda/httpapi/memory"
	"remuda/httpapi/value"
	"remuda/store"
)

// maxSeriesPoints bounds an answer; beyond it groups are left out, and meta says
// truncated.
const maxSeriesPoints = 200_000

// chartSource is the points of series or the distributions of histograms: groups
// of points by key, encoded one by one, so that a delta can replace those that
// changed.
type chartSource struct {
	size     memory.Share
	params   *ask.Params
	member   string // of the document: series or histograms
	list     func(c *chartSource) meta
	groups   []chartGroup
	before   map[string]map[int64]uint64 // hash of each point by group and ts
	upsert   []byte
	removed  []string
	snapshot []byte
	last     meta
	due      time.Time // of the next reading
}

// chartShare is the part of the time that reading the points of a chart may take:
// one of very many series is brought up to date less often than its frames come.
// Its meta then has the revision of the reading.
const chartShare = 10

// chartGroup is one line of a chart.
type chartGroup struct {
	id     string // unique in the answer
	key    string
	head   []byte // members but points
	at     []int64
	points [][]byte
}

func (c *chartSource) refresh() meta {
	began := time.Now()
	c.upsert, c.removed = c.upsert[:0], c.removed[:0]
	if began.Before(c.due) {
		return c.last
	}
	c.groups = c.groups[:0]
	m := c.list(c)
	defer func() {
		c.last, c.due = m, time.Now().Add(chartShare*time.Since(began))
	}()
	now := make(map[string]map[int64]uint64, len(c.groups))
	c.snapshot = c.snapshot[:0]
	changes := 0
	for i := range c.groups {
		g := &c.groups[i]
		hashes := make(map[int64]uint64, len(g.points))
		var changed []int
		old, known := c.before[g.id]
		for j, p := range g.points {
			h := maphash.Bytes(rowSeed, p)
			hashes[g.at[j]] = h
			if was, ok := old[g.at[j]]; !ok || was != h {
				changed = append(changed, j)
			}
		}
		now[g.id] = hashes
		if i > 0 {
			c.snapshot = append(c.snapshot, ',')
		}
		c.snapshot = g.append(c.snapshot, nil)
		if known && len(changed) == 0 {
			continue
		}
		if changes++; changes > 1 {
			c.upsert = append(c.upsert, ',')
		}
		c.upsert = g.append(c.upsert, changed)
	}
	for id := range c.before {
		if _, ok := now[id]; !ok {
			key, _, _ := strings.Cut(id, "\x00")
			c.removed = append(c.removed, key)
		}
	}
	slices.Sort(c.removed) // a key goes with all its metrics
	c.removed = slices.Compact(c.removed)
	c.before = now
	points := 0
	for i := range c.groups {
		points += len(c.groups[i].points)
	}
	c.size.Need(int64(points)*pointSize + int64(len(c.snapshot)+len(c.upsert)))
	return m
}

func (c *chartSource) lease(l *memory.Lease) { c.size.Lease = l }

// pointSize is what a point takes besides its text, twice: in memory and in frames, bytes.
const pointSize = 120

// append appends the group with all points, or those of some indexes.
func (g *chartGroup) append(dst []byte, only []int) []byte {
	dst = append(append(dst, g.head...), `,"points":[`...)
	if only == nil {
		for i, p := range g.points {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, p...)
		}
		return append(dst, ']', '}')
	}
	for i, j := range only {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, g.points[j]...)
	}
	return append(dst, ']', '}')
}

func (c *chartSource) appendSnapshot(dst []byte) []byte {
	dst = append(append(append(dst, '"'), c.member...), '"', ':', '[')
	return append(append(dst, c.snapshot...), ']')
}

func (c *chartSource) appendDelta(dst []byte) []byte {
	dst = append(append(dst, `"upsert":[`...), c.upsert...)
	return value.AppendStrings(append(dst, `],"remove":`...), c.removed)
}

// chartHead encodes the members of a group before its points.
func chartHead(p *ask.Params, key, metric string, dims *[store.NumDims]string) []byte {
	b := value.AppendString([]byte(`{"key":`), key)
	if metric != "" {
		b = value.AppendString(append(b, `,"metric":`...), metric)
	}
	for _, d := range p.By {
		b = append(append(append(b, `,"`...), d.String()...), '"', ':')
		b = value.AppendString(b, dims[d])
	}
	return b
}

func chartQuery(p *ask.Params, pause func()) store.Query {
	by := p.By
	if len(by) == 0 {
		by = []store.Dim{store.ProviderDim}
	}
	return store.Query{Filter: p.Filter, By: by, Window: p.Window, Pause: pause}
}

func withStep(m meta, step time.Duration) meta {
	m.extra = strconv.AppendInt([]byte(`,"step_ms":`), step.Milliseconds(), 10)
	return m
}

func newSeriesSource(a *Answers, p *ask.Params, pause func()) source {
	q := chartQuery(p, pause)
	return &chartSource{params: p, member: "series", list: func(c *chartSource) meta {
		m := plainMeta(a, p)
		q.Grow = c.size.Need
		groups, step := a.store.Series(q, p.Step)
		kept := c.size.Size
		points := 0
		for i := range groups {
			g := &groups[i]
			if points += len(g.Points) * len(p.Metrics); points > maxSeriesPoints || i >= p.Limit || !c.size.Need(kept+int64(points)*pointSize) {
				m.truncated = true
				break
			}
			for _, metric := range p.Metrics {
				figure := figureOf(metric)
				line := chartGroup{id: g.Key + "\x00" + metric, key: g.Key, head: chartHead(p, g.Key, metric, &g.Dims)}
				for j := range g.Points {
					at := &g.Points[j]
					line.at = append(line.at, at.At)
					line.points = append(line.points, appendPoint(nil, figure, at))
				}
				c.groups = append(c.groups, line)
			}
		}
		return withStep(m, step)
	}}
}

func newHistogramSource(a *Answers, p *ask.Params, pause func()) source {
	q := chartQuery(p, pause)
	return &chartSource{params: p, member: "histograms", list: func(c *chartSource) meta {
		m := plainMeta(a, p)
		q.Grow = c.size.Need
		groups, step := a.store.Histogram(q, p.Step)
		kept := c.size.Size
		buckets := 0
		for i := range groups {
			g := &groups[i]
			line := chartGroup{id: g.Key, key: g.Key, head: chartHead(p, g.Key, "", &g.Dims)}
			for j := range g.Points {
				at := &g.Points[j]
				buckets += len(at.Buckets)
				b := append(strconv.AppendInt([]byte{'['}, at.At, 10), ',', '[')
				for k, bucket := range at.Buckets {
					if k > 0 {
						b = append(b, ',')
					}
					b = value.AppendRounded(append(b, '['), bucket.LowerMicros/1000, 1e6)
					b = value.AppendRounded(append(b, ','), bucket.UpperMicros/1000, 1e6)
					b = value.AppendUint(append(b, ','), bucket.Count)
					b = append(value.AppendUint(append(b, ','), bucket.CutOff), ']')
				}
				line.at = append(line.at, at.At)
				line.points = append(line.points, append(b, ']', ']'))
			}
			if buckets > maxSeriesPoints || i >= p.Limit || !c.size.Need(kept+int64(buckets)*pointSize) {
				m.truncated = true
				break
			}
			c.groups = append(c.groups, line)
		}
		return withStep(m, step)
	}}
}
