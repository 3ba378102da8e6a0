package cluster

import (
	"bufio"
	"bytes"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"remuda/cluster/internal/made"
	"remuda/cluster/link"
	"remuda/cluster/rules"
	"remuda/cluster/wire"
	"remuda/store"
	"remuda/store/cell"
)

// TestWideRow: a series of which every step of an hour is kept, and whose latencies
// and failures fill all buckets, goes through a pull, sealed too, and a checkpoint.
func TestWideRow(t *testing.T) {
	w := newWorld(t)
	w.now = 2 * time.Hour
	a := w.node("a", 1)
	rng := rand.New(rand.NewPCG(1, 1))
	const each = 400
	for back := range int64(3590) {
		events := make([]store.Event, each)
		at := a.store.Now() - back*1000
		for i := range events {
			micros := uint64(math.Exp(rng.Float64() * math.Log(80_000_000_000)))
			events[i] = made.Call(at, "p", micros)
			events[i].Result = cell.Result((i + 1) % 2) // every other one failed
		}
		if refusals := a.store.Apply(events).Refusals; len(refusals) > 0 {
			t.Fatal(refusals)
		}
	}
	a.store.Tick()

	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(testSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := link.ReadSecrets(file, "remuda")
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	opening := keys.Opening(keys.Sign(request, "remuda", nil))
	sealing, err := keys.Check(request, "remuda")
	if err != nil {
		t.Fatal(err)
	}
	var sent bytes.Buffer
	buffer := bufio.NewWriter(&sent)
	chunks := wire.NewChunkWriter(buffer, sealing)
	own := verified(a.id, 1, a.store.Digest(a.id))
	out := wire.StateWriter{Source: a.store, Emit: chunks.Write}
	if err := out.Write(a.id, 0, a.store.Now(), func() wire.Status { return own }); err != nil {
		t.Fatal(err)
	}
	if err := buffer.Flush(); err != nil {
		t.Fatal(err)
	}
	size := sent.Len()
	w.exchanged("a", nil, verified(a.id, 1, 0)) // it is spoken of
	in, _ := w.reader(rules.Pull{ID: a.id, Member: "a"})
	from := wire.NewChunkReader(&sent, opening)
	for !in.Done {
		chunk, err := from.Next()
		if err == nil {
			err = in.Take(chunk)
		}
		if err != nil {
			t.Fatalf("a state of %d bytes: %v", size, err)
		}
	}
	w.want("digest", w.store.Digest(a.id), a.store.Digest(a.id))
}
