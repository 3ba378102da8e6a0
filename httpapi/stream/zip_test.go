package stream

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"testing"
)

// FuzzZipping: a reader gets any parts in any order, each as it is shared with others, and a
// trailer that is right for them.
func FuzzZipping(f *testing.F) {
	f.Add(uint64(1), 3)
	f.Add(uint64(2), 40)
	f.Fuzz(func(t *testing.T, seed uint64, count int) {
		random := rand.New(rand.NewPCG(seed, 0))
		shared := make([][]byte, 5)
		parts := make([]*zipped, len(shared))
		for i := range shared {
			shared[i] = make([]byte, random.IntN(1<<(4*i)+1))
			for j := range shared[i] {
				shared[i][j] = byte(random.IntN(4))
			}
			if parts[i] = deflate(shared[i]); i == 0 {
				parts[i] = stored(shared[i])
			}
		}
		var z zipping
		var plain []byte
		stream := []byte(gzipHead)
		for range count % 64 {
			i := random.IntN(len(parts))
			stream = append(stream, z.add(parts[i]).blocks()...)
			plain = append(plain, shared[i]...)
		}
		plain = append(plain, "bye"...)
		r, err := gzip.NewReader(bytes.NewReader(append(stream, z.end(stored([]byte("bye")))...)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes instead of %d: %v", len(got), len(plain), err)
		}
	})
}
