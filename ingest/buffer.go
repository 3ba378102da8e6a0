package ingest

import (
	"errors"
	"io"
	"math/bits"
	"sync"
)

// buffer is the memory of one body, or of what it inflates to, counted while it is
// in use. It belongs to one goroutine.
type buffer struct {
	memory  *memory
	bytes   []byte
	counted int64   // of memory
	allowed int64   // what it may hold whatever others hold
	whole   bool    // what is expected can be read without waiting
	coming  *coming // nil unless it is waited for
}

// Buffers up to pooledBuffer have powers of two as sizes, and are kept for others.
const (
	firstBuffer  = 4 << 10
	pooledBuffer = 2 << 20
)

// buffers are those that are kept, by size.
var buffers [10]sync.Pool

func pool(size int64) *sync.Pool { return &buffers[bits.Len64(uint64(size))-bits.Len64(firstBuffer)] }

// grow makes room for more than there is: for eight times as much while that is
// little, lest what does not come is held, and then for twice as much.
func (b *buffer) grow(expected, limit int64) error {
	has := int64(cap(b.bytes))
	size := max(has*8, firstBuffer)
	switch {
	case b.whole && has == 0:
		size = max(expected+1, firstBuffer) // one more, to see the end
	case expected >= has:
		size = min(size, expected+1)
	case has >= 256<<10:
		size = has * 2
	}
	if size = max(min(size, limit+1), firstBuffer); size <= pooledBuffer {
		size = 1 << bits.Len64(uint64(size-1))
	}
	if err := b.memory.take(size, b.counted, b.allowed); err != nil {
		return err
	}
	b.counted += size
	var grown []byte
	if size <= pooledBuffer {
		if kept, ok := pool(size).Get().(*[]byte); ok {
			grown = *kept
		}
	}
	if grown == nil {
		grown = make([]byte, 0, size)
	}
	grown = append(grown, b.bytes...)
	b.drop()
	b.bytes = grown
	if b.coming != nil {
		b.coming.holds.Store(size)
	}
	return nil
}

// drop gives the bytes back.
func (b *buffer) drop() {
	size := int64(cap(b.bytes))
	if size == 0 {
		return
	}
	if size <= pooledBuffer {
		kept := b.bytes[:0]
		pool(size).Put(&kept)
	}
	b.bytes = nil
	b.counted -= size
	b.memory.give(size)
}

var errLimit = errors.New("limit reached")

// fill reads to the end of a stream, at most limit bytes, of which about expected
// will come.
func (b *buffer) fill(from io.Reader, expected, limit int64) error {
	for {
		if len(b.bytes) == cap(b.bytes) {
			if err := b.grow(expected, limit); err != nil {
				return err
			}
		}
		n, err := from.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if b.coming != nil {
			b.coming.came.Add(int64(n))
		}
		if int64(len(b.bytes)) > limit {
			return errLimit
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
