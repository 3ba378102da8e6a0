// Package ui is the dashboard: static files, embedded in the program.
package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"

	"remuda/httpapi/headers"
)

// Of the page's own modules, and of what they import, only what is made of them is
// in the program.
//
//go:embed static/index.html static/icon.svg static/early.js
//go:embed static/vendor/versions.json static/vendor/uplot/*.js static/vendor/*/LICENSE
//go:embed built/app.js built/style.css
var files embed.FS

// policy lets the page load nothing but its own files, and lets no page frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// asset is one file, ready to be sent.
type asset struct {
	contentType   string
	plain, zipped face // zipped has no content when it would not be smaller
}

// face is one encoding of a file. The tag says which.
type face struct {
	content []byte
	etag    string
}

// Handler serves the dashboard: index.html at the root, other files by name. It
// is safe for concurrent use. A file is compressed when it is first asked for, so
// that a start does not wait for it.
func Handler() http.Handler {
	assets := make(map[string]func() *asset)
	for _, dir := range []string{"static", "built"} {
		err := fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := files.ReadFile(name)
			assets[strings.TrimPrefix(name, dir)] = sync.OnceValue(func() *asset { return newAsset(name, content) })
			return err
		})
		if err != nil {
			panic("ui: " + err.Error()) // the files are part of the program
		}
	}
	assets["/"] = assets["/index.html"]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a *asset
		if ready := assets[r.URL.Path]; ready != nil {
			a = ready()
		}
		serve(w, r, a)
	})
}

// DirHandler serves the dashboard from a directory, read anew at every request:
// for those who work on it.
func DirHandler(dir string) http.Handler {
	root := os.DirFS(dir)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		var a *asset
		if content, err := fs.ReadFile(root, name); err == nil {
			a = newAsset(name, content)
		}
		serve(w, r, a)
	})
}

func newAsset(name string, content []byte) *asset {
	sum := sha256.Sum256(content)
	contentType := mime.TypeByExtension(path.Ext(name))
	if contentType == "" {
		contentType = "text/plain; charset=utf-8"
	}
	tag := `"` + hex.EncodeToString(sum[:12])
	a := &asset{contentType: contentType, plain: face{content, tag + `"`}}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = z.Write(content)                               // a bytes.Buffer takes everything
	_ = z.Close()
	if b.Len() < len(content) {
		a.zipped = face{b.Bytes(), tag + `-gzip"`}
	}
	return a
}

func serve(w http.ResponseWriter, r *http.Request, a *asset) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	case a == nil:
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Vary", "Accept-Encoding")
	f := a.plain
	if a.zipped.content != nil && headers.TakesGzip(r.Header) {
		f = a.zipped
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", f.etag)
	if headers.MatchesAny(r.Header) || headers.Matches(r.Header, f.etag) {
		h.Del("Content-Type")
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(f.content)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(f.content) // an error here is the client's going away
	}
}
