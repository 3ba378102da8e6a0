package answer

import (
	"strconv"

	"remuda/httpapi/value"
	"remuda/store"
	"remuda/store/attention"
)

// A source is the live content of one canonical query: what a REST answer
// renders once, and what a view refreshes at every interval for all its
// subscribers. A source belongs to one goroutine at a time; it keeps between
// refreshes whatever it needs to tell what changed.
type source interface {
	// refresh brings the source up to date with the store. It returns the
	// metadata of the answer, whose revision is read before anything else: all
	// changes up to it are included, later ones may be.
	refresh() meta

	// appendSnapshot appends the members that follow meta in a document with
	// everything as of the last refresh: "rows":[…]
	appendSnapshot(dst []byte) []byte

	// appendDelta appends the members that follow meta in a delta, with what
	// differs between the last two refreshes: "upsert":[…],"remove":[…]
	// Rows whose ages or calls_per_second alone moved do not differ.
	appendDelta(dst []byte) []byte
}

// meta is what every answer says of itself.
type meta struct {
	store.Meta
	truncated bool
	judged    *attention.Judged // of attention, nil for all else
	// extra is further members, each preceded by a comma: ,"step_ms":1000
	extra []byte
}

// appendMeta appends "meta":{…}.
func appendMeta(dst []byte, m *meta) []byte {
	dst = append(dst, `"meta":{"node":`...)
	dst = value.AppendString(dst, m.Node)
	dst = strconv.AppendUint(append(dst, `,"incarnation":`...), m.Incarnation, 10)
	dst = strconv.AppendUint(append(dst, `,"revision":`...), m.Revision, 10)
	dst = strconv.AppendInt(append(dst, `,"at":`...), m.At, 10)
	dst = strconv.AppendInt(append(dst, `,"window_ms":`...), m.Window.Length().Milliseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"covered_ms":`...), m.CoveredMillis, 10)
	dst = strconv.AppendInt(append(dst, `,"coverage":{"nodes":{"reporting":`...), int64(m.NodesReporting), 10)
	dst = strconv.AppendInt(append(dst, `,"known":`...), int64(m.NodesKnown), 10)
	dst = strconv.AppendInt(append(dst, `},"senders":{"reporting":`...), int64(m.SendersReporting), 10)
	dst = strconv.AppendInt(append(dst, `,"known":`...), int64(m.SendersKnown), 10)
	dst = strconv.AppendInt(append(dst, `}},"oldest_node_age_ms":`...), m.OldestNodeAgeMillis, 10)
	dst = strconv.AppendUint(append(dst, `,"overflow_calls":`...), m.OverflowCalls, 10)
	dst = strconv.AppendBool(append(dst, `,"truncated":`...), m.truncated)
	if j := m.judged; j != nil {
		dst = strconv.AppendInt(append(dst, `,"judged":{"providers":`...), int64(j.Providers), 10)
		dst = strconv.AppendInt(append(dst, `,"unknown":`...), int64(j.Unknown), 10)
		dst = append(dst, '}')
	}
	dst = append(dst, m.extra...)
	return append(dst, '}')
}
