package request_test

import (
	"bytes"
	"compress/gzip"
	"net/http/httptest"
	"testing"

	"remuda/ingest"
	"remuda/ingest/request"
	"remuda/store"
)

// TestFields: what the head of a request says of its body is heeded.
func TestFields(t *testing.T) {
	s, err := store.New(store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := ingest.New(ingest.Options{Store: s, MaxBody: 1000})
	if err != nil {
		t.Fatal(err)
	}
	const array = `[{"chain":"c","provider_id":"p","method":"m","duration_ms":1,"result":"success"},7]`
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(array)) // a bytes.Buffer takes all
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body            []byte
		media, encoding string
		strict          bool
		accepted        int
		fails           bool
	}{
		"JSON":                 {[]byte(array), "application/json", "", false, 1, false},
		"compressed":           {zipped.Bytes(), "application/json", "gzip", false, 1, false},
		"strict":               {[]byte(array), "application/json", "", true, 0, false},
		"another type":         {[]byte(array), "text/html", "", false, 0, true},
		"another encoding":     {[]byte(array), "application/json", "br", false, 0, true},
		"longer than is taken": {make([]byte, 1001), "application/json", "", false, 0, true},
	} {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(c.body))
		r.Header.Set("Content-Type", c.media)
		r.Header.Set("Content-Encoding", c.encoding)
		receipt, err := request.Ingester{Ingester: g}.Ingest(r, c.strict)
		if receipt.Accepted != c.accepted || (err != nil) != c.fails {
			t.Errorf("%s: %+v, %v", name, receipt, err)
		}
	}
}
