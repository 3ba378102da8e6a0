package ui

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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

// source is the files as they are written. Types for the checker lie beside what is
// vendored, and stay behind.
func source(t *testing.T) map[string]string {
	all := make(map[string]string)
	static := os.DirFS("static")
	err := fs.WalkDir(static, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".d.ts") {
			return err
		}
		content, err := fs.ReadFile(static, name)
		all[name] = string(content)
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

// TestWeight: all that the page can load is light enough for a phone. The bound is
// there to stop bloat, such as a library for one screen, not to forbid a label: it has
// room for years of labels, and whoever reaches it looks first for what can go.
func TestWeight(t *testing.T) {
	h := Handler()
	weight := int64(0)
	for _, name := range []string{"/", "/early.js", "/style.css", "/app.js", "/icon.svg", "/vendor/uplot/uPlot.iife.min.js"} {
		resp := ask(h, "GET", name, "Accept-Encoding", "gzip")
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		t.Logf("%6d %s", resp.ContentLength, name)
		weight += resp.ContentLength
	}
	t.Logf("%6d in all", weight)
	if weight > 90_000 {
		t.Errorf("the page weighs %d bytes compressed", weight)
	}
}

// TestBuilt: what is served is made of the files beside it.
func TestBuilt(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"static", "bundle"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(name)); err != nil {
			t.Fatal(err)
		}
	}
	recipe, err := os.ReadFile("bundle.go")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bundle.go"), recipe, 0o600); err != nil {
		t.Fatal(err)
	}
	get := exec.Command("go", "mod", "download")
	get.Dir = filepath.Join(dir, "bundle")
	if out, err := get.CombinedOutput(); err != nil {
		const reason = "NOT COMPARED: ui/built with ui/static, as esbuild cannot be fetched"
		if os.Getenv("CI") != "" {
			t.Fatalf("%s: %v\n%s", reason, err, out)
		}
		t.Skip(reason)
	}
	run := exec.Command("go", "generate", "bundle.go")
	run.Dir = dir
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"app.js", "style.css"} {
		want, err := os.ReadFile(filepath.Join(dir, "built", name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := files.ReadFile("built/" + name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("built/%s is not made of static/ as it is: run `make bundle` (%v)", name, err)
		}
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
