package httpapi

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"remuda/httpapi/answer"
	"remuda/httpapi/headers"
)

//go:embed openapi.json
var openAPIDocument []byte

var openAPIBody = answer.NewBody(openAPIDocument)

// openAPITag is the same on all nodes of a version.
var openAPITag = fmt.Sprintf(`W/"%.12x"`, sha256.Sum256(openAPIDocument))

func (a *API) openAPI(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h["Cache-Control"] = headers.AskFirst
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", openAPITag)
	if headers.Matches(r.Header, openAPITag) || headers.MatchesAny(r.Header) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	openAPIBody.Write(w, r)
}

// healthz says that the process answers.
func (a *API) healthz(w http.ResponseWriter, r *http.Request) {
	a.small(w, r, http.StatusOK, `{"status":"ok"}`+"\n")
}

// readyz says whether to send requests here, and if not, why.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	if a.draining.Load() {
		a.small(w, r, http.StatusServiceUnavailable, `{"ready":false,"reasons":["shutting_down"]}`+"\n")
		return
	}
	if a.options.Cluster != nil {
		if reasons := a.options.Cluster.Reasons(); len(reasons) > 0 {
			a.small(w, r, http.StatusServiceUnavailable, `{"ready":false,"reasons":["`+strings.Join(reasons, `","`)+`"]}`+"\n")
			return
		}
	}
	a.small(w, r, http.StatusOK, `{"ready":true,"reasons":[]}`+"\n")
}

func (a *API) small(w http.ResponseWriter, r *http.Request, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body))
	}
}
