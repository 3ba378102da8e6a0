package answer

import (
	"remuda/httpapi/ask"
	"remuda/httpapi/memory"
	"remuda/httpapi/value"
)

// topicSource joins several sources into one, so that a frame shows all of them
// as of one moment.
type topicSource struct {
	size  memory.Share
	round int
	names []string
	parts []source
	// metas are those of the parts that have a query of their own, and so metadata
	// of their own; nil for the others.
	metas []*meta
}

// newTopicSource is the content of /stream.
func newTopicSource(a *Answers, p *ask.Params, pause func()) source {
	t := &topicSource{}
	for _, name := range p.Topics {
		t.add(name, newPart(a, p, name, pause), nil)
	}
	for _, part := range p.Parts {
		t.add(part.Name, a.resource(func(res *Resource) bool { return &res.Resource == part.Res }).source(a, part.Params, pause), new(meta))
	}
	return t
}

// lease accounts for the parts. Those with the same rows get one table.
func (t *topicSource) lease(l *memory.Lease) {
	t.size.Lease = l
	tables := make(map[string]*sharedTable)
	for _, part := range t.parts {
		if s, ok := part.(*tableSource); ok {
			id := s.table.id()
			if tables[id] == nil {
				tables[id] = s.table
				s.table.round = &t.round
			}
			s.table = tables[id]
		}
		if s, ok := part.(interface{ lease(l *memory.Lease) }); ok {
			s.lease(l)
		}
	}
}

func (t *topicSource) add(name string, s source, m *meta) {
	t.names, t.parts, t.metas = append(t.names, name), append(t.parts, s), append(t.metas, m)
}

// newPart makes the source of one topic inside of a larger answer.
func newPart(a *Answers, p *ask.Params, topic string, pause func()) source {
	res := a.resource(func(res *Resource) bool { return res.Topic == topic })
	return res.source(a, p.Of(&res.Resource), pause)
}

func (t *topicSource) refresh() meta {
	var m meta
	t.round++
	for i, part := range t.parts {
		of := part.refresh()
		if t.size.Lease != nil && t.size.Lease.Err != nil {
			return m
		}
		if t.metas[i] != nil {
			*t.metas[i] = of
		}
		if i == 0 {
			m = of
			m.extra = nil
			continue
		}
		// The parts are read one after another; the answer includes all changes up
		// to the least of their revisions.
		m.Revision = min(m.Revision, of.Revision)
		m.truncated = m.truncated || of.truncated
		if of.judged != nil && t.metas[i] == nil {
			m.judged = of.judged
		}
	}
	return m
}

func (t *topicSource) appendSnapshot(dst []byte) []byte { return t.append(dst, source.appendSnapshot) }

func (t *topicSource) appendDelta(dst []byte) []byte { return t.append(dst, source.appendDelta) }

func (t *topicSource) append(dst []byte, content func(s source, dst []byte) []byte) []byte {
	dst = append(dst, `"topics":{`...)
	for i, part := range t.parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(value.AppendString(dst, t.names[i]), ':', '{')
		if m := t.metas[i]; m != nil {
			dst = append(appendMeta(dst, m), ',')
		}
		dst = append(content(part, dst), '}')
		if !t.size.Need(2 * int64(len(dst))) { // it grows by doubling
			break
		}
	}
	t.size.Need(0) // it is a frame's from now on
	return append(dst, '}')
}

// snapshotSource is everything the dashboard shows in one document: the topics
// without the word rows. Its deltas are those of topics.
type snapshotSource struct{ topicSource }

func newSnapshotSource(a *Answers, p *ask.Params, pause func()) source {
	s := &snapshotSource{}
	for _, name := range []string{"providers", "chains", "circuits", "blocks", "provider_health", "decisions", "cluster"} {
		s.add(name, newPart(a, p, name, pause), nil)
	}
	return s
}

func (s *snapshotSource) appendSnapshot(dst []byte) []byte {
	for i, part := range s.parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		name := s.names[i]
		if name == "cluster" {
			name = "members"
		}
		dst = append(value.AppendString(dst, name), ':')
		dst = append(dst, '[')
		for j, r := range part.(recorder).records() {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = r.appendJSON(dst, nil)
		}
		dst = append(dst, ']')
	}
	return dst
}

// recorder is a source whose content is rows, which CSV and tables can show.
type recorder interface {
	source
	records() []*Record
}
