package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
)

type apiDocument struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		Parameters []struct {
			Ref string `json:"$ref"`
		}
		Responses map[string]any
	}
	Components struct {
		Parameters map[string]struct {
			Name, In string
			Required bool
		}
		Schemas map[string]struct {
			Properties map[string]any
		}
	}
}

func readDocument(t *testing.T) (doc apiDocument) {
	t.Helper()
	if err := json.Unmarshal(openAPIDocument, &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Fatalf("openapi %q, %v", doc.OpenAPI, err)
	}
	return doc
}

// TestDocumentAndRouter compares the paths of the document with those of the
// router, in both directions. HEAD goes with GET, as the document says.
func TestDocumentAndRouter(t *testing.T) {
	doc := readDocument(t)
	a := toldAPI(t)
	served := make(map[string]bool)
	err := chi.Walk(a.routes(), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method != http.MethodHead {
			served[strings.ToLower(method)+" "+route] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			if !served[method+" "+path] {
				t.Errorf("%s %s is described and not served", method, path)
			}
			delete(served, method+" "+path)
		}
	}
	for route := range served {
		t.Errorf("%s is served and not described", route)
	}
}

// TestDocumentedParameters compares the parameters of every collection with what
// is described, in both directions.
func TestDocumentedParameters(t *testing.T) {
	doc := readDocument(t)
	for _, res := range toldAPI(t).answers.Resources() {
		described := make(map[string]bool)
		for _, ref := range doc.Paths["/api/v1"+res.Path]["get"].Parameters {
			p, ok := doc.Components.Parameters[strings.TrimPrefix(ref.Ref, "#/components/parameters/")]
			if !ok {
				t.Errorf("%s: %s is nowhere", res.Path, ref.Ref)
			}
			if p.In != "query" {
				continue
			}
			described[p.Name] = true
			if p.Required != slices.Contains(res.Required, p.Name) {
				t.Errorf("%s: %s is required or not", res.Path, p.Name)
			}
		}
		for _, name := range res.ParameterNames() {
			if !described[name] {
				t.Errorf("%s takes %s, which is not described", res.Path, name)
			}
			delete(described, name)
		}
		for name := range described {
			t.Errorf("%s does not take %s", res.Path, name)
		}
	}
}

// TestDocumentedColumns: every column of a row is in its schema.
func TestDocumentedColumns(t *testing.T) {
	doc := readDocument(t)
	schemas := map[string]string{
		"/providers": "Provider", "/attention": "Alarm", "/circuits": "Circuit", "/circuits/changes": "CircuitChange", "/blocks": "Block",
		"/provider_health": "ProviderHealth", "/senders": "Sender", "/decisions": "Decision", "/rank": "Rank", "/cluster": "Member",
		"/limits": "LimitRow", "/runtime": "RuntimeValue", "/subscribers": "Subscriber",
	}
	for _, res := range toldAPI(t).answers.Resources() {
		for _, metric := range res.Metrics {
			if doc.Components.Schemas["PreviousFigures"].Properties[metric] == nil {
				t.Errorf("PreviousFigures has no %s", metric)
			}
		}
		if !res.Tabular() {
			continue
		}
		path, _, _ := strings.Cut(res.Path, "/{")
		name := schemas[path]
		if name == "" {
			name = "Row"
		}
		properties := doc.Components.Schemas[name].Properties
		for _, column := range res.Columns {
			if properties[column] == nil {
				t.Errorf("%s has no %s", name, column)
			}
		}
		for property := range properties {
			if !slices.Contains(res.Columns, property) && (name != "Row" || !slices.Contains(dimensionNames(), property)) {
				t.Errorf("%s has %s, which rows of %s do not", name, property, res.Path)
			}
		}
	}
}

// TestDocumentReferences: every reference leads somewhere.
func TestDocumentReferences(t *testing.T) {
	var doc any
	if err := json.Unmarshal(openAPIDocument, &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				at := doc
				for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[part]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	walk(doc)
}
