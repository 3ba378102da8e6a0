package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// compareIngest posts over two connections of this machine as fast as answers
// come: whole decisions in JSON to a node, four HINCRBY for each event to Redis.
func compareIngest() error {
	node := func(batch, connections int) func() ([]float64, error) {
		return func() ([]float64, error) {
			address, pid, stop, err := startRemuda()
			if err != nil {
				return nil, err
			}
			defer stop()
			before := cpuOf(pid)
			out, err := exec.Command(*remuda, "load", "--closed", "--json", "--series", "600", "--nodes", "http://"+address, "--viewers", "0",
				"--batch", strconv.Itoa(batch), "--connections", strconv.Itoa(connections), "--duration", strconv.Itoa(*seconds)+"s").Output()
			if err != nil {
				return nil, err
			}
			var report struct {
				Rate     float64 `json:"achieved_events_per_second"`
				Accepted float64 `json:"accepted"`
			}
			if err := json.Unmarshal(out, &report); err != nil {
				return nil, err
			}
			return []float64{report.Rate, (cpuOf(pid) - before) / report.Accepted * 1e6}, nil
		}
	}
	all := []contestant{
		{"remuda, NDJSON, batches of 1,000, 2 connections", node(1000, 2)},
		{"remuda, NDJSON, batches of 100, 2 connections", node(100, 2)},
		{"remuda, NDJSON, batches of 10, 16 connections", node(10, 16)},
	}
	if needs("redis-server", "redis-server") {
		all = append(all, contestant{"Redis, 4 pipelined HINCRBY an event, batches of 100, 2 connections", measureRedis})
	}
	return compare("Ingestion, client and server on the same cores", []string{"events/s", "server CPU s per million"}, all)
}

// measureRedis counts calls, errors, latency and requests of each event in a hash.
func measureRedis() ([]float64, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	pid, stop, err := start(address, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning")
	if err != nil {
		return nil, err
	}
	defer stop()
	const batch = 100
	var sent atomic.Int64
	var failed atomic.Pointer[error]
	var connections sync.WaitGroup
	before, began := cpuOf(pid), time.Now()
	for c := range 2 {
		connections.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				failed.Store(&err)
				return
			}
			defer func() { _ = conn.Close() }() // all answers are there
			answers := bufio.NewReaderSize(conn, 64<<10)
			var commands []byte
			for n := c; time.Since(began) < time.Duration(*seconds)*time.Second; {
				commands = commands[:0]
				for range batch {
					n = (n*1103515245 + 12345) & 0x7fffffff
					key := "calls:chain_" + strconv.Itoa(n%3) + ":provider_" + strconv.Itoa(n/3%10) + ":method_" + strconv.Itoa(n/30%20)
					for _, field := range []string{"calls", "requests", "errors", "micros"} {
						commands = fmt.Appendf(commands, "*4\r\n$7\r\nHINCRBY\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$2\r\n45\r\n", len(key), key, len(field), field)
					}
				}
				if _, err := conn.Write(commands); err != nil {
					failed.Store(&err)
					return
				}
				for range 4 * batch {
					if _, err := answers.ReadSlice('\n'); err != nil {
						failed.Store(&err)
						return
					}
				}
				sent.Add(batch)
			}
		})
	}
	connections.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	took := time.Since(began).Seconds()
	return []float64{float64(sent.Load()) / took, (cpuOf(pid) - before) / float64(sent.Load()) * 1e6}, nil
}
