package ui

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func ask(method, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

// TestHandler checks status, policy and caching of what is served.
func TestHandler(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 200},
		{"HEAD", "/", 200},
		{"GET", "/app.js", 200},
		{"GET", "/style.css", 200},
		{"GET", "/icon.svg", 200},
		{"GET", "/static/app.js", 404},
		{"GET", "/../ui.go", 404},
		{"POST", "/", 405},
	} {
		resp := ask(c.method, c.path)
		if resp.StatusCode != c.status || resp.Header.Get("Content-Security-Policy") != policy || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %d %v", c.method, c.path, resp.StatusCode, resp.Header)
		}
	}
	etag := ask("GET", "/app.js").Header.Get("ETag")
	if resp := ask("GET", "/app.js", "If-None-Match", etag); resp.StatusCode != http.StatusNotModified {
		t.Errorf("an unchanged file is sent again: %d", resp.StatusCode)
	}
	if resp := ask("GET", "/app.js", "Accept-Encoding", "gzip"); resp.Header.Get("Content-Encoding") != "gzip" {
		t.Error("the file is not compressed")
	}
}

// TestFiles: no inline code or style, nothing from another host, no file that
// nobody refers to, and a weight that a phone can bear.
func TestFiles(t *testing.T) {
	all := make(map[string]string)
	packed := 0
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		all[strings.TrimPrefix(name, "static/")] = string(content)
		packed += max(len(newAsset(name, content).zipped), 1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	inline := regexp.MustCompile(`<script>|<script[^>]*>[^<]|<style|\son\w+=|\sstyle=|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(`)
	foreign := regexp.MustCompile(`(https?:)?//[a-z0-9.-]+\.[a-z]+`)
	for name, content := range all {
		if found := inline.FindString(content); found != "" {
			t.Errorf("%s has %q", name, found)
		}
		for _, url := range foreign.FindAllString(content, -1) {
			if url != "http://www.w3.org" { // the name of the SVG namespace
				t.Errorf("%s points at %s", name, url)
			}
		}
		referred := name == "index.html"
		for other, text := range all {
			referred = referred || other != name && strings.Contains(text, `"`+name+`"`)
		}
		if !referred {
			t.Errorf("nothing refers to %s", name)
		}
	}
	if packed > 60_000 {
		t.Errorf("the page weighs %d bytes compressed", packed)
	}
}
