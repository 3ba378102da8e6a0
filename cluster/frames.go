package cluster

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

type frameWriter struct {
	w    *bufio.Writer
	seal *seal
	buf  []byte
}

func (f *frameWriter) write(frame []byte) error {
	f.buf = encoder.EncodeAll(frame, f.buf[:0])
	box := f.seal.seal(f.buf)
	var size [binary.MaxVarintLen64]byte
	if _, err := f.w.Write(size[:binary.PutUvarint(size[:], uint64(len(box)))]); err != nil {
		return err
	}
	_, err := f.w.Write(box)
	return err
}

// byteAndReader is a bufio.Reader or alike.
type byteAndReader interface {
	io.Reader
	io.ByteReader
}

type frameReader struct {
	r    byteAndReader
	seal *seal
	read int // bytes
	box  []byte
	buf  []byte
}

// next returns a frame, valid until the next call. After the last one it is io.EOF.
func (f *frameReader) next() ([]byte, error) {
	size, err := binary.ReadUvarint(f.r)
	if err != nil {
		return nil, err
	}
	if size > maxFrame {
		return nil, errDamaged
	}
	if uint64(cap(f.box)) < size {
		f.box = make([]byte, size)
	}
	f.box = f.box[:size]
	if _, err := io.ReadFull(f.r, f.box); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	f.read += int(size) + 3
	plain, err := f.seal.open(f.box)
	if err != nil {
		return nil, err
	}
	f.buf, err = decoder.DecodeAll(plain, f.buf[:0])
	if err != nil {
		return nil, errDamaged
	}
	return f.buf, nil
}
