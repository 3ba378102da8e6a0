package httpapi

import "remuda/store"

// topicSource joins several sources into one, so that a frame shows all of them
// as of one moment.
type topicSource struct {
	names []string
	parts []source
}

// newTopicSource is the content of /stream.
func newTopicSource(a *API, p *params) source {
	t := &topicSource{}
	for _, name := range p.topics {
		t.names = append(t.names, name)
		t.parts = append(t.parts, newPart(a, p, resourceOfTopic(name)))
	}
	return t
}

// newPart makes the source of one resource inside of a larger answer: filters and
// window are shared, all else is the resource's default.
func newPart(a *API, p *params, res *resource) source {
	q := *p
	q.by = res.by
	q.fields, q.sort, q.topics = nil, "", nil
	q.limit = defaultLimit
	if res.limit > 0 {
		q.limit = res.limit
	}
	if res.path == "/profiles" {
		q.filter[store.ProfileDim] = nil
	}
	return res.source(a, &q)
}

func (t *topicSource) refresh() meta {
	var m meta
	for i, part := range t.parts {
		of := part.refresh()
		if i == 0 {
			m = of
			m.extra = nil
			continue
		}
		// The parts are read one after another; the answer includes all changes up
		// to the least of their revisions.
		m.Revision = min(m.Revision, of.Revision)
		m.truncated = m.truncated || of.truncated
	}
	return m
}

func (t *topicSource) appendSnapshot(dst []byte) []byte {
	dst = append(dst, `"topics":{`...)
	for i, part := range t.parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, t.names[i]), ':', '{')
		dst = append(part.appendSnapshot(dst), '}')
	}
	return append(dst, '}')
}

func (t *topicSource) appendDelta(dst []byte) []byte {
	dst = append(dst, `"topics":{`...)
	for i, part := range t.parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, t.names[i]), ':', '{')
		dst = append(part.appendDelta(dst), '}')
	}
	return append(dst, '}')
}

// snapshotSource is everything the dashboard shows in one document: the topics
// without the word rows. Its deltas are those of topics.
type snapshotSource struct{ topicSource }

func newSnapshotSource(a *API, p *params) source {
	s := &snapshotSource{}
	for _, name := range []string{"providers", "chains", "circuits", "blocks", "provider_health", "decisions", "cluster"} {
		s.names = append(s.names, name)
		s.parts = append(s.parts, newPart(a, p, resourceOfTopic(name)))
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
		dst = append(appendString(dst, name), ':')
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
	records() []*record
}
