package store_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestArrows checks which package may use which: all of them the store and what lies
// below it, nobody each other, and the store the standard library only. What reads
// header fields is a leaf that both faces use.
func TestArrows(t *testing.T) {
	below := []string{ // what lies below the store; who uses it may use that
		"remuda/store/cell",
		"remuda/store/dedup",
		"remuda/store/fair",
		"remuda/store/heights",
		"remuda/store/ids",
		"remuda/store/presence",
	}
	allowed := map[string][]string{
		"remuda/store":           below,
		"remuda/store/cell":      {"remuda/store/ids"},
		"remuda/store/dedup":     nil,
		"remuda/store/fair":      {"remuda/store/ids"},
		"remuda/store/heights":   nil,
		"remuda/store/ids":       nil,
		"remuda/store/presence":  {"remuda/store/ids"},
		"remuda/store/attention": {"remuda/store"},
		"remuda/store/rank":      {"remuda/store"},
		"remuda/ingest":          {"remuda/ingest/json", "remuda/ingest/judge", "remuda/store"},
		"remuda/ingest/json":     {"remuda/ingest/judge", "remuda/store"},
		"remuda/ingest/judge":    {"remuda/store"},
		"remuda/ingest/request":  {"remuda/ingest", "remuda/ingest/json", "remuda/ingest/judge", "remuda/store"},
		"remuda/cluster":         {"remuda/cluster/wire", "remuda/cluster/disk", "remuda/cluster/rules", "remuda/cluster/link", "remuda/store"},
		"remuda/cluster/link":    {"remuda/cluster/wire", "remuda/store"},
		"remuda/cluster/disk":    {"remuda/cluster/wire", "remuda/store"},
		"remuda/cluster/rules":   {"remuda/cluster/wire", "remuda/store"},
		"remuda/cluster/wire":    {"remuda/store"},

		"remuda/httpapi": {
			"remuda/store", "remuda/store/attention", "remuda/store/rank", "remuda/httpapi/answer", "remuda/httpapi/ask",
			"remuda/httpapi/headers", "remuda/httpapi/layout", "remuda/httpapi/memory", "remuda/httpapi/post", "remuda/httpapi/problem",
			"remuda/httpapi/stream", "remuda/httpapi/value",
		},
		"remuda/httpapi/answer": {
			"remuda/store", "remuda/store/attention", "remuda/store/rank", "remuda/httpapi/ask", "remuda/httpapi/headers",
			"remuda/httpapi/layout", "remuda/httpapi/memory", "remuda/httpapi/problem", "remuda/httpapi/value",
		},
		"remuda/httpapi/stream": {
			"remuda/store", "remuda/httpapi/headers", "remuda/httpapi/memory", "remuda/httpapi/problem", "remuda/httpapi/value",
		},
		"remuda/httpapi/post": {
			"remuda/store", "remuda/httpapi/ask", "remuda/httpapi/headers", "remuda/httpapi/problem", "remuda/httpapi/value",
		},
		"remuda/httpapi/ask":     {"remuda/store", "remuda/httpapi/headers", "remuda/httpapi/problem"},
		"remuda/httpapi/memory":  {"remuda/httpapi/problem"},
		"remuda/httpapi/value":   {"remuda/store"},
		"remuda/httpapi/layout":  nil,
		"remuda/httpapi/problem": nil,
		"remuda/ui":              {"remuda/httpapi/headers"},
		"remuda/httpapi/headers": nil,
	}
	for from, to := range allowed {
		out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", from).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", from, err)
		}
		for _, dep := range strings.Fields(string(out)) {
			switch {
			case dep == from, slices.Contains(to, dep), slices.Contains(to, "remuda/store") && slices.Contains(below, dep):
			case strings.HasPrefix(dep, "remuda/"):
				t.Errorf("%s must not use %s", from, dep)
			case strings.HasPrefix(from, "remuda/store") || from == "remuda/ui" || from == "remuda/httpapi/headers":
				t.Errorf("%s is for the standard library only, and uses %s", from, dep)
			}
		}
	}

	// Bodies come to ingest from anywhere.
	out, err := exec.Command("go", "list", "-deps", "remuda/ingest").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if slices.Contains(strings.Fields(string(out)), "net/http") {
		t.Error("remuda/ingest must not use net/http")
	}

	// A library of others stays inside the one package that uses it.
	homes := map[string][]string{
		"github.com/go-chi/":             {"remuda/httpapi"},
		"github.com/dgraph-io/ristretto": {"remuda/httpapi/answer"},
		"github.com/prometheus/":         {"remuda/httpapi"},
		"github.com/munnerz/goautoneg":   {"remuda/httpapi/ask"},
		"github.com/hashicorp/":          {"remuda/cluster", "remuda/cluster/link"},
		"github.com/r3labs/sse":          {"remuda/httpapi/stream", "remuda/cmd/remuda/internal/client"},
		"github.com/alecthomas/kong":     {"remuda/cmd/remuda"},
	}
	out, err = exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "remuda/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		packages := strings.Fields(line)
		if _, named := allowed[packages[0]]; !named && !strings.HasPrefix(packages[0], "remuda/cmd/") && !strings.Contains(packages[0], "/internal/") {
			t.Errorf("nobody says what %s may use", packages[0])
		}
		for _, imported := range packages[1:] {
			for library, home := range homes {
				if strings.HasPrefix(imported, library) && !slices.Contains(home, packages[0]) {
					t.Errorf("%s uses %s, which belongs in %v", packages[0], imported, home)
				}
			}
		}
	}
}
