// Package request hands bodies of HTTP requests to [ingest]: it reads what their heads
// say of them.
package request

import (
	"net/http"

	"remuda/ingest"
	"remuda/store"
)

// An Ingester takes in the bodies of requests. It is safe for concurrent use.
type Ingester struct{ *ingest.Ingester }

// Ingest reads the body of a request to its end and counts its events, see
// [ingest.Ingester.Ingest].
func (i Ingester) Ingest(r *http.Request, strict bool) (store.Receipt, error) {
	return i.Ingester.Ingest(r.Context(), ingest.Body{
		Reader: r.Body, Type: r.Header.Get("Content-Type"), Encoding: r.Header.Get("Content-Encoding"), Length: r.ContentLength,
		Strict: strict,
	})
}
