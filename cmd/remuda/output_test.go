package main

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// TestOutlivesReaders: nodes go on, and drain, when nobody reads any more what they
// say, on either output.
func TestOutlivesReaders(t *testing.T) {
	for name, args := range map[string][]string{
		"serve": {"serve", "--http", "127.0.0.1:0", "--log-level", "debug", "--data-dir", "DIR"},
		"demo":  {"demo", "--rate", "50"},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range args {
				if args[i] == "DIR" {
					args[i] = t.TempDir()
				}
			}
			cmd := exec.Command("remuda", args...)
			out, to, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout, cmd.Stderr = to, to
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			_ = to.Close()
			url := ""
			for lines := bufio.NewScanner(out); url == "" && lines.Scan(); {
				url = regexp.MustCompile(`http://[0-9.:]+`).FindString(lines.Text())
			}
			_ = out.Close() // from here on whoever writes gets EPIPE, and by default SIGPIPE
			resp, err := http.Post(url+"/api/v1/events", "application/x-ndjson", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusUnprocessableEntity {
				t.Error(resp.Status)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil { // the end is logged
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal("it ended with", err)
			}
		})
	}
}

// TestLogReaderStops: nobody waits for one who does not read, and what is dropped is
// counted.
func TestLogReaderStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		log, lines := newLog(to, "json", slog.LevelInfo)
		log.Info("the first")
		synctest.Wait() // it is being written
		const more = 50
		for range logLines + more {
			log.Info("a line")
		}
		var text bytes.Buffer
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(&text, from)
		}()
		synctest.Wait() // all are written
		log.Info("the last")
		lines.Close()
		_ = to.Close()
		<-read
		dropped := regexp.MustCompile(`"lines_dropped":(\d+)`).FindStringSubmatch(text.String())
		if dropped == nil || dropped[1] != strconv.Itoa(more) || strings.Count(text.String(), "a line") != logLines || !strings.Contains(text.String(), "the last") {
			t.Errorf("%d lines, dropped %v", strings.Count(text.String(), "\n"), dropped)
		}
	})
}
