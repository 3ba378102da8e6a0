package ui

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func ask(h http.Handler, method, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// TestHandler checks status, policy and caching of what is served, from the
// program and from a directory.
func TestHandler(t *testing.T) {
	for name, h := range map[string]http.Handler{"embedded": Handler(), "directory": DirHandler("static")} {
		for _, c := range []struct {
			method, path string
			status       int
		}{
			{"GET", "/", 200},
			{"HEAD", "/", 200},
			{"GET", "/app.js", 200},
			{"GET", "/style.css", 200},
			{"GET", "/icon.svg", 200},
			{"GET", "/vendor/uplot/LICENSE", 200},
			{"GET", "/static/app.js", 404},
			{"GET", "/../ui.go", 404},
			{"POST", "/", 405},
		} {
			resp := ask(h, c.method, c.path)
			if resp.StatusCode != c.status || resp.Header.Get("Content-Security-Policy") != policy || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %s %s: %d %v", name, c.method, c.path, resp.StatusCode, resp.Header)
			}
		}
		plain, zipped := ask(h, "GET", "/app.js"), ask(h, "GET", "/app.js", "Accept-Encoding", "br, gzip")
		refused := ask(h, "GET", "/app.js", "Accept-Encoding", "gzip;q=0")
		if zipped.Header.Get("Content-Encoding") != "gzip" || refused.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: compressed when asked %v, when refused %v", name, zipped.Header, refused.Header)
		}
		etag, own := plain.Header.Get("ETag"), zipped.Header.Get("ETag")
		if etag == "" || own == "" || own == etag || refused.Header.Get("ETag") != etag {
			t.Errorf("%s: tags %s plain, %s compressed", name, etag, own)
		}
		for _, c := range []struct {
			header []string
			status int
		}{
			{[]string{"If-None-Match", etag}, 304},
			{[]string{"If-None-Match", "W/" + etag}, 304},
			{[]string{"If-None-Match", `"x", ` + etag}, 304},
			{[]string{"If-None-Match", `"x"`, "If-None-Match", etag}, 304},
			{[]string{"If-None-Match", "*"}, 304},
			{[]string{"If-None-Match", own, "Accept-Encoding", "gzip"}, 304},
			{[]string{"If-None-Match", own}, 200},
			{[]string{"If-None-Match", etag, "Accept-Encoding", "gzip"}, 200},
			{[]string{"If-None-Match", etag + "x"}, 200},
		} {
			if resp := ask(h, "GET", "/app.js", c.header...); resp.StatusCode != c.status {
				t.Errorf("%s: %v: %d, want %d", name, c.header, resp.StatusCode, c.status)
			}
		}
		if resp := ask(h, "GET", "/nothing.js", "If-None-Match", "*"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: nothing is unchanged: %d", name, resp.StatusCode)
		}
	}
}

// source is the files as they are written.
func source(t *testing.T) map[string]string {
	all := make(map[string]string)
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		all[strings.TrimPrefix(name, "static/")] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestFiles: no inline code or style, nothing from another host, no file that
// nobody refers to.
func TestFiles(t *testing.T) {
	all := source(t)
	inline := regexp.MustCompile(`<script>|<script[^>]*>[^<]|<style|\son\w+=|\sstyle=|innerHTML|outerHTML|insertAdjacentHTML|unsafeHTML|document\.write|eval\(`)
	foreign := regexp.MustCompile(`(https?:)?//[a-z0-9.-]+\.[a-z]+`)
	for name, content := range all {
		if !strings.HasPrefix(name, "vendor/") {
			if found := inline.FindString(content); found != "" {
				t.Errorf("%s has %q", name, found)
			}
			for _, url := range foreign.FindAllString(content, -1) {
				if url != "http://www.w3.org" { // the name of the SVG namespace
					t.Errorf("%s points at %s", name, url)
				}
			}
		}
		referred := name == "index.html" || path.Base(name) == "LICENSE" || name == "vendor/versions.json"
		for other, text := range all {
			base := path.Base(name)
			referred = referred || other != name && (strings.Contains(text, `"`+name+`"`) || strings.Contains(text, "/"+base+"'") || strings.Contains(text, "/"+base+`"`))
		}
		if !referred {
			t.Errorf("nothing refers to %s", name)
		}
	}
}

// TestWeight: all that the page can load is light enough for a phone.
func TestWeight(t *testing.T) {
	h := Handler()
	weight := 0
	load := map[string]bool{"/": true, "/app.js": true, "/style.css": true, "/early.js": true, "/icon.svg": true}
	for name := range source(t) {
		if strings.HasPrefix(name, "vendor/") && path.Ext(name) == ".js" {
			load["/"+name] = true
		}
	}
	for name := range load {
		resp := ask(h, "GET", name, "Accept-Encoding", "gzip")
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		t.Logf("%6d %s", resp.ContentLength, name)
		weight += int(resp.ContentLength)
	}
	t.Logf("%6d in all", weight)
	if weight > 90_000 {
		t.Errorf("the page weighs %d bytes compressed", weight)
	}
}

// TestVendored: what is vendored is what its authors published, to the byte, and
// has its licence beside it.
func TestVendored(t *testing.T) {
	all := source(t)
	var list struct {
		Packages []struct {
			Name, Version, License string
			SHA256                 map[string]string
		}
	}
	if err := json.Unmarshal([]byte(all["vendor/versions.json"]), &list); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"versions.json": true}
	for _, p := range list.Packages {
		if all["vendor/"+p.Name+"/LICENSE"] == "" || p.Version == "" || p.License == "" {
			t.Errorf("%s has no licence or no version", p.Name)
		}
		for name, want := range p.SHA256 {
			known[name] = true
			sum := sha256.Sum256([]byte(all["vendor/"+name]))
			if got := hex.EncodeToString(sum[:]); got != want {
				t.Errorf("%s has the hash %s", name, got)
			}
		}
	}
	for name := range all {
		if rest, ok := strings.CutPrefix(name, "vendor/"); ok && !known[rest] {
			t.Errorf("nobody knows where %s is from", name)
		}
	}
}

// TestJoin: modules come after those they import, once each, with their names.
func TestJoin(t *testing.T) {
	files := fstest.MapFS{
		"app.js":       {Data: []byte("// Begins.\nimport { one as uno } from './a.js';\nimport * as b from './b/b.js';\n\nuno(b.two, '//no comment');\n")},
		"a.js":         {Data: []byte("import { html } from './vendor/lit.js';\n/** @param {string} x */\nexport function one(x) {\n  return html`${x}`;\n}\n")},
		"b/b.js":       {Data: []byte("import { one } from '../a.js';\nexport const two = one(2); // it's two\nexport const three = 3; // no quotes\n")},
		"circle.js":    {Data: []byte("import './circle.js';\n")},
		"vendor/ab.js": {Data: []byte("")},
	}
	got, err := join(files, "app.js")
	want := "import * as v0 from './vendor/lit.js';\n" +
		"const m0 = (() => {\nconst { html } = v0;\nfunction one(x) {\nreturn html`${x}`;\n}\nreturn { one };\n})();\n" +
		"const m1 = (() => {\nconst { one } = m0;\nconst two = one(2); // it's two\nconst three = 3;\nreturn { two, three };\n})();\n" +
		"const m2 = (() => {\nconst { one: uno } = m0;\nconst b = m1;\nuno(b.two, '//no comment');\nreturn {  };\n})();\n"
	if err != nil || strings.ReplaceAll(string(got), "\n\n", "\n") != want {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err := join(files, "circle.js"); err == nil {
		t.Error("a circle is joined")
	}
	if _, err := join(files, "absent.js"); err == nil {
		t.Error("what is not there is joined")
	}
	// The page itself: all own modules are in it, and none of the forms that join
	// does not read is left over.
	page, err := join(mustSub(t), entry)
	if err != nil {
		t.Fatal(err)
	}
	if left := regexp.MustCompile(`(?m)^(export|import [^*]|import\()|/\*\*|^//`).FindString(string(page)); left != "" {
		t.Errorf("%q is left over", left)
	}
	modules := 0
	for name := range source(t) {
		if own.MatchString(name) && name != classic {
			modules++
		}
	}
	if n := strings.Count(string(page), "= (() => {\n"); n < modules {
		t.Errorf("%d of %d modules", n, modules)
	}
}

func mustSub(t *testing.T) fs.FS {
	static, err := fs.Sub(files, "static")
	if err != nil {
		t.Fatal(err)
	}
	return static
}
