package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const frameEvery = 200 * time.Millisecond

// compareStreams sends the same frame of some 4 KiB five times a second to
// thousands of readers on this machine. Latency counts from when the frame was made
// (by a node) or published (to the others).
func compareStreams() error {
	all := []contestant{{"remuda, a view of 4 KiB", streamRemuda}, {"floor: one non-blocking write for each raw socket, no HTTP", streamFloor}}
	if needs("nginx", "nginx libnginx-mod-nchan") {
		all = append(all, contestant{"nginx with nchan, one worker", streamNchan})
	}
	return compare(fmt.Sprintf("Streams, %d readers, 4 KiB, 5 frames/s", *subscribers),
		[]string{"server CPU s per million deliveries", "p50 ms", "p99 ms", "KB of RSS a reader", "KB a frame"}, all)
}

func streamRemuda() ([]float64, error) {
	address, pid, stop, err := startRemuda()
	if err != nil {
		return nil, err
	}
	defer stop()
	var lines strings.Builder
	for i := range 7 { // rows of some 580 bytes
		fmt.Fprintf(&lines, `{"chain":"ethereum","provider_id":"provider_%d","method":"eth_call","duration_ms":45,"result":"success"}`+"\n", i)
	}
	publish := func() error {
		response, err := http.Post("http://"+address+"/api/v1/events", "application/x-ndjson", strings.NewReader(lines.String()))
		if err == nil {
			_ = response.Body.Close() // 202, or the readers will miss it
		}
		return err
	}
	if err := publish(); err != nil {
		return nil, err
	}
	request := "GET /api/v1/providers?interval=200ms&window=1h&format=sse HTTP/1.1\r\nHost: localhost\r\n\r\n"
	return measureStreams(address, pid, request, `"at":`, publish)
}

func streamNchan() ([]float64, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "nchan")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()                                  // a temporary one
	modules, _ := filepath.Glob("/usr/lib/nginx/modules/ngx_nchan_module.so") // the pattern is good
	if len(modules) == 0 {
		return nil, fmt.Errorf("%w: nchan is not installed: apt-get install libnginx-mod-nchan", errSkip)
	}
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`load_module %s; daemon off; worker_processes 1; worker_rlimit_nofile 40000; error_log %s/error.log; pid %s/pid;
events { worker_connections 20000; }
http { access_log off; client_body_temp_path %[2]s; proxy_temp_path %[2]s; fastcgi_temp_path %[2]s; uwsgi_temp_path %[2]s; scgi_temp_path %[2]s;
 server { listen %[4]s backlog=4096;
  location /sub { nchan_subscriber eventsource; nchan_channel_id x; }
  location /pub { nchan_publisher; nchan_channel_id x; nchan_message_buffer_length 2; } } }
`, modules[0], dir, dir, address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	pid, stop, err := start(address, "nginx", "-c", config, "-p", dir)
	if err != nil {
		return nil, err
	}
	defer stop()
	filler := strings.Repeat("x", 4<<10)
	publish := func() error {
		body := fmt.Sprintf(`{"at":%d,"x":"%s"}`, time.Now().UnixMilli(), filler)
		response, err := http.Post("http://"+address+"/pub", "application/json", strings.NewReader(body))
		if err == nil {
			_ = response.Body.Close() // the readers tell
		}
		return err
	}
	return measureStreams(address, pid, "GET /sub HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n", `"at":`, publish)
}

func streamFloor() ([]float64, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.Setenv("FLOOR_ADDRESS", address); err != nil {
		return nil, err
	}
	pid, stop, err := start(address, self, "floor")
	if err != nil {
		return nil, err
	}
	defer stop()
	return measureStreams(address, pid, "\n", `"at":`, func() error { return nil })
}

// serveFloor writes a frame to every connection, five times a second, with as
// little as there is: no HTTP, no goroutine for each, no deadline.
func serveFloor() error {
	listener, err := net.Listen("tcp", os.Getenv("FLOOR_ADDRESS"))
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var sockets []int
	var connections []net.Conn // which keep the sockets open
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			raw, err := conn.(*net.TCPConn).SyscallConn()
			if err != nil {
				continue
			}
			_ = raw.Control(func(fd uintptr) { // it was accepted just now
				mu.Lock()
				defer mu.Unlock()
				sockets, connections = append(sockets, int(fd)), append(connections, conn)
			})
		}
	}()
	filler := strings.Repeat("x", 4<<10)
	for range time.Tick(frameEvery) {
		frame := fmt.Appendf(nil, "data: {\"at\":%d,\"x\":\"%s\"}\n\n", time.Now().UnixMilli(), filler)
		mu.Lock()
		for _, fd := range sockets {
			_, _ = syscall.Write(fd, frame) // a reader that is gone or slow misses it
		}
		mu.Unlock()
	}
	return nil
}

// reader counts what one connection is sent.
type reader struct {
	frames  *atomic.Int64
	bytes   *atomic.Int64
	counted *atomic.Bool
	waits   []uint16 // ms
}

// read reads until the connection ends. Every frame has the mark near its start,
// with the time behind it; a mark that two reads share is counted without a time.
func (r *reader) read(conn net.Conn, mark []byte) {
	buffer := make([]byte, 8<<10)
	var tail byte
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if !r.counted.Load() {
			continue
		}
		chunk := buffer[:n]
		r.bytes.Add(int64(n))
		if i := bytes.Index(chunk, mark); i >= 0 && i+len(mark)+13 <= n {
			if at, err := strconv.ParseInt(string(chunk[i+len(mark):i+len(mark)+13]), 10, 64); err == nil {
				r.waits = append(r.waits, uint16(min(max(time.Now().UnixMilli()-at, 0), 65535)))
			}
		}
		ends := bytes.Count(chunk, []byte("\n\n"))
		if tail == '\n' && chunk[0] == '\n' {
			ends++
		}
		tail = chunk[n-1]
		r.frames.Add(int64(ends))
	}
}

// measureStreams opens the readers, publishes five times a second, and counts what
// arrives.
func measureStreams(address string, pid int, request, mark string, publish func() error) ([]float64, error) {
	idle := rssOf(pid)
	var frames, size atomic.Int64
	var counted atomic.Bool
	var group sync.WaitGroup
	var readers []*reader
	var connections []net.Conn
	defer func() {
		for _, c := range connections {
			_ = c.Close() // the measurement is over
		}
		group.Wait()
	}()
	for range *subscribers {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil, err
		}
		connections = append(connections, conn)
		if _, err := io.WriteString(conn, request); err != nil {
			return nil, err
		}
		r := &reader{frames: &frames, bytes: &size, counted: &counted}
		readers = append(readers, r)
		group.Go(func() { r.read(conn, []byte(mark)) })
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*seconds+2)*time.Second)
	defer cancel()
	ticker := time.NewTicker(frameEvery)
	defer ticker.Stop()
	var before, after float64
	warm := time.After(2 * time.Second)
	for done := false; !done; {
		select {
		case <-warm:
			counted.Store(true)
			before = cpuOf(pid)
		case <-ctx.Done():
			after, done = cpuOf(pid), true
			counted.Store(false)
		case <-ticker.C:
			if err := publish(); err != nil {
				return nil, err
			}
		}
	}
	rss := rssOf(pid)
	n := frames.Load()
	if n == 0 {
		return nil, errors.New("nothing was delivered")
	}
	for _, c := range connections {
		_ = c.Close() // the measurement is over
	}
	group.Wait()
	var waits []uint16
	for _, r := range readers {
		waits = append(waits, r.waits...)
	}
	slices.Sort(waits)
	if len(waits) == 0 {
		return nil, errors.New("no frame says when it was made")
	}
	return []float64{
		(after - before) / float64(n) * 1e6, float64(waits[len(waits)/2]), float64(waits[len(waits)*99/100]),
		(rss - idle) / float64(*subscribers) / 1024, float64(size.Load()) / float64(n) / 1024,
	}, nil
}
