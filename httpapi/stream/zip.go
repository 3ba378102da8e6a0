package stream

import (
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Streams for readers who take gzip. A frame is compressed once, as blocks of deflate
// that refer to nothing before them and end on a byte, so the same bytes go to all, whatever
// each was sent before; a reader decodes it as soon as it is there. What belongs to one
// reader is the header, and the checksum in the trailer, which is put together from those
// of the frames.

// zipped is a part of a stream, compressed. It is never changed.
type zipped struct {
	wire  []byte // a chunk of HTTP/1.1
	crc   uint32 // of what it decodes to
	shift uint32 // what to multiply the checksum of all before with, see shiftOf
	size  uint32 // of what it decodes to
}

// blocks is what is in the chunk.
func (z *zipped) blocks() []byte { return z.wire[len(chunkHead) : len(z.wire)-len("\r\n")] }

func newZipped(plain []byte, room int, blocks func(dst []byte) []byte) *zipped {
	chunk := appendChunk(make([]byte, 0, len(chunkHead)+room+len("\r\n")), blocks)
	return &zipped{wire: chunk, crc: crc32.ChecksumIEEE(plain), shift: shiftOf(len(plain)), size: uint32(len(plain))}
}

// deflate compresses a part.
func deflate(plain []byte) *zipped {
	return newZipped(plain, len(plain)/8+64, func(dst []byte) []byte {
		d := deflaters.Get().(*deflater)
		defer deflaters.Put(d)
		d.out = dst
		d.w.Reset(d)
		_, _ = d.w.Write(plain) // to memory
		_ = d.w.Flush()
		dst, d.out = d.out, nil
		return dst
	})
}

// stored is a short part as it is.
func stored(plain []byte) *zipped {
	return newZipped(plain, len(plain)+10, func(dst []byte) []byte { return appendStored(dst, plain) })
}

// appendStored appends text, of which there may be 64 KB, as a block, and an empty one, which
// some decoders wait for before they give it out.
func appendStored(dst, text []byte) []byte {
	dst = append(dst, 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(text)))
	dst = binary.LittleEndian.AppendUint16(dst, ^uint16(len(text)))
	return append(append(dst, text...), 0, 0, 0, 0xff, 0xff)
}

type deflater struct {
	w   *flate.Writer
	out []byte
}

// Write implements io.Writer.
func (d *deflater) Write(b []byte) (int, error) {
	d.out = append(d.out, b...)
	return len(b), nil
}

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is valid
	return &deflater{w: w}
}}

// gzipHead is the header of all streams, gzipLast the last block of one, with nothing in it.
const (
	gzipHead = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
	gzipLast = "\x03\x00"
)

// zipping is what the trailer of a stream says: what its reader was sent so far.
type zipping struct{ crc, size uint32 }

// add notes that a part is sent.
func (z *zipping) add(part *zipped) *zipped {
	z.crc = timesModulo(part.shift, z.crc) ^ part.crc
	z.size += part.size
	return part
}

// end returns the end of a stream.
func (z *zipping) end(last *zipped) []byte {
	z.add(last)
	end := append(append([]byte(nil), last.blocks()...), gzipLast...)
	end = binary.LittleEndian.AppendUint32(end, z.crc)
	return binary.LittleEndian.AppendUint32(end, z.size)
}

// The end of a stream: say its reader was sent the parts A, 1,000 bytes before compression,
// and B, 200 bytes, and bye is 30 bytes. The blocks of bye are followed by an empty last
// block (gzipLast), the checksum of the 1,230 bytes and their number. Of A and B only their
// own checksums are known, which all readers share, and so it is for each part:
//
//	crc(A+B) = crc(A)·x^(8·200) + crc(B)     size 1,200
//	crc(A+B+bye) = crc(A+B)·x^(8·30) + crc(bye)     size 1,230
//
// x^(8·200) is the shift of B, worked out once for the frame. So a part costs a reader one
// multiplication, whatever its size.
//
// A CRC is a polynomial over GF(2) modulo crc32.IEEE, its highest power in the lowest bit.
// That of two texts one after the other is that of the first, times x to the number of
// bits of the second, plus that of the second.

// timesModulo multiplies two polynomials, of which a is not 0.
func timesModulo(a, b uint32) (product uint32) {
	for m := uint32(1) << 31; ; m >>= 1 {
		if a&m != 0 {
			if product ^= b; a&(m-1) == 0 {
				return product
			}
		}
		if b&1 != 0 {
			b = b>>1 ^ crc32.IEEE
		} else {
			b >>= 1
		}
	}
}

// squares are x to the powers of 2.
var squares = func() (t [32]uint32) {
	t[0] = 1 << 30
	for i := range t[1:] {
		t[i+1] = timesModulo(t[i], t[i])
	}
	return t
}()

// shiftOf is x to the number of bits of so many bytes.
func shiftOf(size int) uint32 {
	power := uint32(1) << 31
	for i := 3; size > 0; size, i = size>>1, i+1 {
		if size&1 != 0 {
			power = timesModulo(squares[i&31], power)
		}
	}
	return power
}

// zipSink writes a compressed stream, of events or of lines, where the connection
// was not taken over.
type zipSink struct {
	patientWriter
	feeder *feeder
	lines  bool
}

func (s *zipSink) hello(lastCursor string) error {
	if s.lines {
		return s.put([]byte(gzipHead))
	}
	return s.put([]byte(gzipHead), s.feeder.zip.add(stored(s.feeder.helloEvent(lastCursor))).blocks())
}

func (s *zipSink) frame(_ string, fr *frame) error {
	return s.put(s.feeder.zip.add(fr.zipped(s.lines)).blocks())
}

func (s *zipSink) beat() error {
	if s.lines {
		return s.put(s.feeder.zip.add(zippedNothing).blocks())
	}
	return s.put(s.feeder.zip.add(zippedBeat).blocks())
}

func (s *zipSink) bye(reason, cursor string) error {
	last := byeEvent(reason, cursor)
	if s.lines {
		last = byeLine(reason)
	}
	return s.put(s.feeder.zip.end(stored(last)))
}

var (
	zippedBeat    = stored([]byte(heartbeat))
	zippedNothing = stored([]byte{'\n'})
)

// serveZipped runs a compressed stream over a connection that was not taken over.
func (s *Streams) serveZipped(w http.ResponseWriter, r *http.Request, f *feeder) {
	streamHead(w.Header(), f.sub.format, true)
	s.serveWith(r, f, &zipSink{newPatientWriter(s, w), f, f.sub.format == "ndjson"})
}
