package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Answers between members, and checkpoints, are frames: a length, and that many
// bytes of zstd, sealed when the cluster has a secret.

var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxFrame), zstd.WithDecoderConcurrency(0))
)

// A Box encrypts the frames of one answer, and opens them, in their order.
type Box interface {
	Seal(plain []byte) []byte
	Open(sealed []byte) ([]byte, error)
}

// A FrameWriter writes frames.
type FrameWriter struct {
	w   *bufio.Writer
	box Box // nil when they are not sealed
	buf []byte
}

// NewFrameWriter returns one that writes to w, which the caller flushes.
func NewFrameWriter(w *bufio.Writer, box Box) *FrameWriter { return &FrameWriter{w: w, box: box} }

// Write writes one frame.
func (f *FrameWriter) Write(frame []byte) error {
	f.buf = encoder.EncodeAll(frame, f.buf[:0])
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

// A frameReader reads frames.
type frameReader struct {
	r      byteAndReader
	box    Box
	read   int // bytes
	sealed []byte
	buf    []byte
}

// NewFrameReader returns one that reads from r; box is nil when they are not sealed.
func NewFrameReader(r byteAndReader, box Box) *frameReader { return &frameReader{r: r, box: box} }

// Size is how many bytes were read so far.
func (f *frameReader) Size() int { return f.read }

// Next returns a frame, valid until the next call. After the last one it is io.EOF.
func (f *frameReader) Next() ([]byte, error) {
	size, err := binary.ReadUvarint(f.r)
	if err != nil {
		return nil, err
	}
	if size > maxFrame {
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
