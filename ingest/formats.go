package ingest

import (
	"mime"

	"remuda/ingest/json"
	"remuda/ingest/judge"
	"remuda/store"
)

// A format is a way to write events down. Another one takes a package of its own, which
// uses [judge], and a line in formats.
type format struct {
	types []string                    // media types of bodies, without parameters
	open  func(judge.Setting) Decoder // returns a decoder for the events of a node
}

var formats = []format{
	{json.Types, func(s judge.Setting) Decoder { return json.New(s) }},
}

// A Decoder reads the events of one body at a time. The strings of events may point into
// the body, and into memory of the decoder until it is told to forget.
type Decoder interface {
	// Begin begins with a body of one of the format's types, whose events are judged at one
	// instant, in ms. An error says why it cannot be of that type.
	Begin(media string, body []byte, now int64) error
	// Next reads the next event into e, and returns the case for the verdict on it; it is
	// the decoder's, and good until the next call. The error is io.EOF when there are no
	// more; any other says what is wrong with the body as a whole, of which nothing is
	// counted then, at the offset in the case.
	Next(e *store.Event) (*judge.Case, error)
	// Refuse is told that the event just read is not kept.
	Refuse()
	// Forget is told that no event read so far is needed any more.
	Forget()
	// Done reports whether Next would return io.EOF.
	Done() bool
	// Settled reports whether what has been read stands, whatever follows in the body.
	Settled() bool
	// End lets go of the body, and of memory that is unusually large.
	End()
}

// formatsByType are the places of formats.
var formatsByType = func() map[string]int {
	places := make(map[string]int)
	for i, f := range formats {
		for _, media := range f.types {
			places[media] = i
		}
	}
	return places
}()

// open has the body decoded as what its Content-Type says it is.
func (w *work) open(contentType string) error {
	media := contentType
	place, known := formatsByType[media]
	if !known {
		if media, _, _ = mime.ParseMediaType(contentType); media == "" {
			media = contentType // it is none
		}
		if place, known = formatsByType[media]; !known {
			return &Error{
				code:   "unsupported_media_type",
				detail: "the body must be application/x-ndjson or application/json; application/jsonl, text/plain, application/octet-stream and none do as well",
			}
		}
	}
	if w.decoders[place] == nil {
		s := w.ingester.options.Store
		w.decoders[place] = formats[place].open(judge.Setting{Node: s.Node(), Region: s.Region(), Chains: s.Chains()})
	}
	w.media, w.decoder = media, w.decoders[place]
	return nil
}
