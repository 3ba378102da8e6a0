package node

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckpointFails: a checkpoint that cannot be written shows in attention and in the
// exposition until one is, and makes the node end with an error.
func TestCheckpointFails(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	n, err := New(t.Context(), Options{
		Node: "iad", DedupBytes: 1 << 20, MaxConnections: 10, DataDir: data, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	get := func(path string) string {
		w := httptest.NewRecorder()
		n.api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil))
		return w.Body.String()
	}
	wants := func(when string, failing bool, written, failed string) {
		t.Helper()
		if got := get("/api/v1/attention"); strings.Contains(got, `"rule":"checkpoint_failing"`) != failing || strings.Contains(got, data) {
			t.Errorf("%s, attention says %s", when, got)
		}
		exposed := get("/metrics")
		for _, line := range []string{"remuda_checkpoints_written_total " + written + "\n", "remuda_checkpoints_failed_total " + failed + "\n"} {
			if !strings.Contains(exposed, line) {
				t.Errorf("%s, the exposition does not say %s", when, line)
			}
		}
	}
	wants("at first", false, "0", "0")
	if err := n.checkpoint(); err != nil {
		t.Fatal(err)
	}
	wants("once one is written", false, "1", "0")
	if err := os.Rename(data, data+".away"); err != nil { // the disk went
		t.Fatal(err)
	}
	for range 2 {
		if err := n.checkpoint(); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no error says that the disk went: %v", err)
		}
	}
	wants("when the disk went", true, "1", "2")
	if err := os.Rename(data+".away", data); err != nil {
		t.Fatal(err)
	}
	if err := n.checkpoint(); err != nil {
		t.Fatal(err)
	}
	wants("when it is back", false, "2", "2")
}
