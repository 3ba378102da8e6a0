package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Answers between members, and checkpoints, are chunks: a length, and that many
// bytes of zstd, sealed when the cluster has a secret.

var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxChunk), zstd.WithDecoderConcurrency(0))
)

// A Box encrypts the chunks of one answer, and opens them, in their order.
type Box interface {
	Seal(plain []byte) []byte
	Open(sealed []byte) ([]byte, error)
}

// A ChunkWriter writes chunks.
type ChunkWriter struct {
	w   *bufio.Writer
	box Box // nil when they are not sealed
	buf []byte
}

// NewChunkWriter returns one that writes to w, which the caller flushes.
func NewChunkWriter(w *bufio.Writer, box Box) *ChunkWriter { return &ChunkWriter{w: w, box: box} }

// Write writes one chunk.
func (f *ChunkWriter) Write(chunk []byte) error {
	f.buf = encoder.EncodeAll(chunk, f.buf[:0])
	sealed := f.buf
	if f.box != nil {
		sealed = f.box.Seal(f.buf)
	}
	var size [binary.MaxVarintLen64]byte
	if _, err := f.w.Write(size[:binary.PutUvarint(size[:], uint64(len(sealed)))]); err != nil {
		return err
	}
	_, err := f.w.Write(sealed)
	return err
}

// byteAndReader is a bufio.Reader or alike.
type byteAndReader interface {
	io.Reader
	io.ByteReader
}

// A chunkReader reads chunks.
type chunkReader struct {
	r      byteAndReader
	box    Box
	read   int // bytes
	sealed []byte
	buf    []byte
}

// NewChunkReader returns one that reads from r; box is nil when they are not sealed.
func NewChunkReader(r byteAndReader, box Box) *chunkReader { return &chunkReader{r: r, box: box} }

// Size is how many bytes were read so far.
func (f *chunkReader) Size() int { return f.read }

// Next returns a chunk, valid until the next call. After the last one it is io.EOF.
func (f *chunkReader) Next() ([]byte, error) {
	size, err := binary.ReadUvarint(f.r)
	if err != nil {
		return nil, err
	}
	if size > maxChunk {
		return nil, ErrDamaged
	}
	if uint64(cap(f.sealed)) < size {
		f.sealed = make([]byte, size)
	}
	f.sealed = f.sealed[:size]
	if _, err := io.ReadFull(f.r, f.sealed); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	f.read += int(size) + 3
	plain := f.sealed
	if f.box != nil {
		if plain, err = f.box.Open(f.sealed); err != nil {
			return nil, err
		}
	}
	f.buf, err = decoder.DecodeAll(plain, f.buf[:0])
	if err != nil {
		return nil, ErrDamaged
	}
	return f.buf, nil
}
