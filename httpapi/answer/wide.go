package answer

import (
	"bufio"
	"encoding/csv"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"

	"remuda/httpapi/ask"
	"remuda/httpapi/headers"
	"remuda/httpapi/memory"
	"remuda/store"
)

// wide is an answer of so many rows that it is not kept as text: whoever asked for it
// writes it row by row, and what is held meanwhile is the rows.
type wide struct {
	rows    []*store.Row
	from    *tableSource // of which only what makes a record of a row is left
	lease   *memory.Lease
	readers atomic.Int32 // that have not written it yet
}

const (
	wideRows = 1000     // rows up to which an answer is kept as text
	rowSize  = 700      // bytes of a row without its table
	written  = 32 << 10 // bytes at a time
)

// pieceWriter writes what is worked out in pieces: whoever takes it slowly holds nobody up.
type pieceWriter struct {
	out  io.Writer
	work *memory.Pieces
}

func (w pieceWriter) Write(b []byte) (int, error) {
	w.work.End()
	defer w.work.Begin()
	return w.out.Write(b)
}

// newWide lets go of what an answer does not need any more.
func newWide(t *tableSource, rows []*store.Row, l *memory.Lease) *wide {
	t.table.size.Need(int64(len(rows)) * rowSize)
	l.Trim()
	return &wide{rows: rows, from: &tableSource{params: t.params, by: t.by, meta: t.meta}, lease: l}
}

// release notes that a reader has it.
func (b *wide) release() {
	if b.readers.Add(-1) == 0 {
		b.lease.End()
	}
}

// each calls yield with each row as a record, which is valid until the next, and makes
// them in pieces.
func (b *wide) each(work *memory.Pieces, yield func(*Record) bool) {
	var r Record
	for i, row := range b.rows {
		if i&63 == 63 {
			work.Pause()
		}
		if b.from.fill(&r, row); !yield(&r) {
			return
		}
	}
}

// writeWide writes such an answer.
func (a *Answers) writeWide(w http.ResponseWriter, r *http.Request, res *Resource, b *wide, format string) {
	zip := headers.TakesGzip(r.Header)
	if zip {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	work := a.memory.Pieces()
	work.Begin()
	defer work.End()
	var out io.Writer = pieceWriter{w, &work}
	if zip {
		z, _ := gzip.NewWriterLevel(out, gzip.BestSpeed) // the level is valid
		defer func() { _ = z.Close() }()                 // an error here is the client's going away, as below
		out = z
	}
	buffered := bufio.NewWriterSize(out, written)
	defer func() { _ = buffered.Flush() }()
	p := b.from.params
	rows := func(yield func(*Record) bool) { b.each(&work, yield) }
	switch format {
	case "csv":
		writeCSV(buffered, res, p, rows)
	case "ndjson":
		for r := range rows {
			if _, err := buffered.Write(append(r.appendEvent(buffered.AvailableBuffer(), p.Fields), '\n')); err != nil {
				return
			}
		}
	default:
		_, _ = buffered.Write(append(appendMeta([]byte{'{'}, &b.from.meta), `,"rows":[`...))
		first := true
		for r := range rows {
			line := buffered.AvailableBuffer()
			if !first {
				line = append(line, ',')
			}
			first = false
			if _, err := buffered.Write(r.appendJSON(line, p.Fields)); err != nil {
				return
			}
		}
		_, _ = buffered.WriteString("]}\n")
	}
}

// writeCSV writes rows as CSV, and ends when nobody takes it.
func writeCSV(out io.Writer, res *Resource, p *ask.Params, rows func(yield func(*Record) bool)) {
	w := csv.NewWriter(out)
	w.UseCRLF = true // RFC 4180
	columns := columnsOf(res, p)
	_ = w.Write(columns) // it fails when a row does
	line := make([]string, len(columns))
	for r := range rows {
		for i, c := range columns {
			line[i] = spreadsheetSafe(cellText(r, c))
		}
		if w.Write(line) != nil {
			return
		}
	}
	w.Flush()
}
