package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

type sendCommand struct {
	File    string        `arg:"" optional:"" default:"-" help:"File of events, one JSON object a line; - is standard input."`
	URL     string        `env:"REMUDA_URL" default:"http://127.0.0.1:7400" help:"URL of the node."`
	Batch   int           `default:"1000" help:"Most lines in one request."`
	Flush   time.Duration `default:"1s" help:"How long a line from a pipe waits for others at most."`
	Retries int           `default:"8" help:"How often a request is tried again, with growing pauses."`
	Zstd    bool          `help:"Compress requests."`
}

// Help is the long help of the command.
func (sendCommand) Help() string {
	return `Example: tail -F gateway.ndjson | remuda send -

Status 1 when any line was refused or could not be sent. A request whose answer
was lost is sent again: events that carry an event_id or a request_id are counted
once all the same, others may be counted twice. A request has at most 1,000,000 bytes;
one that is too large for the node is halved. When the node is away for longer than
--retries last, what was not sent is counted, with what is left in the pipe.`
}

// Run sends the file.
func (c *sendCommand) Run(ctx context.Context) error {
	base, err := checkURL(c.URL)
	if err != nil {
		return err
	}
	if c.Batch < 1 || c.Batch > 100_000 || c.Flush <= 0 {
		return usagef("--batch must be from 1 to 100000, and --flush above 0")
	}
	in, size := io.Reader(os.Stdin), int64(-1)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		switch info, err := f.Stat(); {
		case err == nil && info.IsDir():
			return fmt.Errorf("%s is a directory", c.File)
		case err == nil && info.Mode().IsRegular():
			size = info.Size()
		}
		in = f
	}
	s := newSender(base+"/api/v1/events", c.Retries, defaultClient(), complain)
	if c.Zstd {
		if s.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
			return err
		}
	}
	if term.IsTerminal(int(os.Stderr.Fd())) && size > 0 {
		bar := progressbar.DefaultBytes(size, "sending")
		r := progressbar.NewReader(in, bar)
		in = &r
	}
	began := time.Now()
	err = s.sendAll(ctx, in, c.Batch, c.Flush)
	took := time.Since(began)
	fmt.Fprintf(os.Stderr, "%d lines in %v: %d accepted, %d duplicates, %d rejected, %d adjusted (%.0f lines/s)\n",
		s.sent, took.Round(time.Millisecond), s.accepted, s.duplicates, s.rejected, s.adjusted, float64(s.sent)/took.Seconds())
	if s.unlisted > 0 {
		fmt.Fprintf(os.Stderr, "%d of the rejected lines are not listed: a node names 20 a request; --batch 20 names all\n", s.unlisted)
	}
	switch {
	case err != nil:
		return err
	case s.rejected > 0:
		return errReported
	}
	return nil
}

// complain writes to standard error; there is nobody to tell if that fails.
func complain(format string, args ...any) { _, _ = fmt.Fprintf(os.Stderr, format, args...) }

func defaultClient() *http.Client { return &http.Client{Timeout: 60 * time.Second} }
