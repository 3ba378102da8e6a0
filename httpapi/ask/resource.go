// Package ask reads what clients ask for: query strings, strictly, and the format that
// they accept. What can be asked of a resource is told by its [Resource]; what was asked is
// a [Params].
package ask

import (
	"slices"
	"strings"

	"remuda/httpapi/problem"
	"remuda/store"
)

// Resource is what may be asked of one collection of the API. It is never changed.
type Resource struct {
	Path     string // under /api/v1; "{…}" is a part of the path
	Topic    string // its name in a stream of topics, "" when it has none
	By       []store.Dim
	Columns  []string // members of a row, for fields and sort
	Metrics  []string // for the parameter metric
	Own      []string // parameters besides the common ones
	Without  []string // filters it does not have
	Required []string
	Limit    int         // default, when it is not 1,000
	MaxLimit int         // when it is not 10,000
	Profiles bool        // it is of all profiles unless some are named
	Topics   []*Resource // that it is a stream of; none of others
}

// Named holds for resources whose path has a part that is a parameter.
func (res *Resource) Named() bool { return strings.Contains(res.Path, "{") }

// Name is what the part of the path is called.
func (res *Resource) Name() string {
	return strings.Trim(res.Path[strings.IndexByte(res.Path, '{'):], "{}")
}

// Tabular holds for resources made of rows.
func (res *Resource) Tabular() bool { return len(res.Columns) > 1 }

// parameter is one that the resource has, nil if it has none of the name.
func (res *Resource) parameter(name string) *parameter {
	i := slices.IndexFunc(parameters, func(q *parameter) bool { return q.name == name && res.has(q) })
	if i < 0 {
		return nil
	}
	return parameters[i]
}

func (res *Resource) has(q *parameter) bool {
	return q.common && !slices.Contains(res.Without, q.name) || slices.Contains(res.Own, q.name)
}

// ParameterNames are those of the parameters that the resource has.
func (res *Resource) ParameterNames() (names []string) {
	for _, q := range parameters {
		if res.has(q) {
			names = append(names, q.name)
		}
	}
	return names
}

// topicNames are those of the resources that a stream may have by name.
func (res *Resource) topicNames() (names []string) {
	for _, topic := range res.Topics {
		if topic.Topic != "" {
			names = append(names, topic.Topic)
		}
	}
	return names
}

// Part is one resource inside of a stream with a query of its own, written as in
// REST: providers?window=5m
type Part struct {
	Name   string // as it is written
	Res    *Resource
	Params *Params
}

// maxParts bounds the parts of a stream. A page of a browser wants some ten.
const maxParts = 100

// addPart reads one value of the parameter topic.
func (p *Params) addPart(stream *Resource, value string) error {
	path, query, _ := strings.Cut(value, "?")
	known := make([]string, 0, len(stream.Topics))
	for _, res := range stream.Topics {
		if !res.Named() {
			known = append(known, res.Path[1:])
		}
	}
	i := slices.IndexFunc(stream.Topics, func(res *Resource) bool {
		return !res.Named() && res.Path == "/"+strings.TrimPrefix(path, "/")
	})
	if i < 0 {
		return unknownValue("topic", path, known)
	}
	res := stream.Topics[i]
	q, err := res.Parse(query)
	if err != nil {
		return err
	}
	if q.delivers {
		return problem.OfParameter("invalid_parameter", "topic", "format, interval, max_frames and watch are of the stream, not of a topic")
	}
	if !slices.ContainsFunc(p.Parts, func(have *Part) bool { return have.Name == value }) {
		p.Parts = append(p.Parts, &Part{value, res, q})
	}
	if len(p.Parts) > maxParts {
		return problem.OfParameter("invalid_parameter", "topic", "a stream takes at most 100 topics")
	}
	return nil
}
