package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, which is 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// cpuOf is the CPU time of a process and of its children that run, in seconds.
func cpuOf(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	total := float64(user+system) / ticksPerSecond
	for _, child := range childrenOf(pid) {
		total += cpuOf(child)
	}
	return total
}

// rssOf is the resident memory of a process and of its children, in bytes.
func rssOf(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	total := float64(pages * os.Getpagesize())
	for _, child := range childrenOf(pid) {
		total += rssOf(child)
	}
	return total
}

func childrenOf(pid int) (list []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is good
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}

// start runs a server until stop is called, and waits until it takes connections.
func start(address string, name string, args ...string) (pid int, stop func(), err error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		done := time.AfterFunc(15*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // how it ended says nothing here
		done.Stop()
	}
	for range 200 {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close() // it was a question
			return cmd.Process.Pid, stop, nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	stop()
	return 0, nil, fmt.Errorf("%s does not listen on %s", name, address)
}

// freeAddress is a port of this machine that nobody has just now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }() // it was a question
	return l.Addr().String(), nil
}

// startRemuda runs a node.
func startRemuda(flags ...string) (address string, pid int, stop func(), err error) {
	if address, err = freeAddress(); err != nil {
		return "", 0, nil, err
	}
	pid, stop, err = start(address, *remuda, append([]string{"serve", "--http", address, "--log-level", "error"}, flags...)...)
	return address, pid, stop, err
}
