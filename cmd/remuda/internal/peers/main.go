// Command peers measures remuda beside others that do a part of its work, in one run
// on one machine, because only ratios of one run mean anything: client_golang and
// xsync in process; redis-server and nginx with nchan as processes of their own.
// What is not installed is named and left out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

var (
	remuda      = flag.String("remuda", "", "the program to measure (default: bin/remuda of this repository)")
	rounds      = flag.Int("rounds", 5, "how often each is measured, in turns; medians are printed")
	subscribers = flag.Int("subscribers", 5000, "streams that are open at once")
	seconds     = flag.Int("seconds", 10, "how long streams and ingestion are measured, each round")
	only        = flag.String("only", "", "counting, ingest or streams; all by default")
)

func main() {
	log.SetFlags(0)
	if len(os.Args) == 2 && os.Args[1] == "floor" {
		log.Fatal(serveFloor())
	}
	flag.Parse()
	if *remuda == "" {
		*remuda = filepath.Join("..", "..", "..", "..", "bin", "remuda")
	}
	for _, part := range []struct {
		name string
		run  func() error
	}{{"counting", compareCounting}, {"ingest", compareIngest}, {"streams", compareStreams}} {
		if *only != "" && *only != part.name {
			continue
		}
		if err := part.run(); err != nil {
			log.Fatalf("%s: %v", part.name, err)
		}
	}
}

// needs reports whether a program is there, and says what is missing.
func needs(program, packages string) bool {
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	fmt.Printf("(%s is not installed and is left out: apt-get install %s)\n", program, packages)
	return false
}

// contestant is one of those that are compared. A measurement is some figures.
type contestant struct {
	name    string
	measure func() ([]float64, error)
}

var errSkip = errors.New("left out")

// compare measures all in turns and prints the medians, and how they stand to the
// first.
func compare(title string, columns []string, all []contestant) error {
	results := make([][][]float64, len(all))
	for range *rounds {
		for i, c := range all {
			figures, err := c.measure()
			if errors.Is(err, errSkip) {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			results[i] = append(results[i], figures)
		}
	}
	fmt.Printf("\n%s (%s, medians of %d)\n\n| |", title, time.Now().Format("2 January 2006"), *rounds)
	for _, c := range columns {
		fmt.Printf(" %s | ratio |", c)
	}
	fmt.Print("\n|---|")
	for range columns {
		fmt.Print("---:|---:|")
	}
	fmt.Println()
	var first []float64
	for i, c := range all {
		if len(results[i]) == 0 {
			continue
		}
		fmt.Printf("| %s |", c.name)
		medians := make([]float64, len(columns))
		for k := range columns {
			var values []float64
			for _, figures := range results[i] {
				values = append(values, figures[k])
			}
			slices.Sort(values)
			medians[k] = values[len(values)/2]
		}
		if first == nil {
			first = medians
		}
		for k, m := range medians {
			fmt.Printf(" %.4g | %.2f |", m, m/first[k])
		}
		fmt.Println()
	}
	return nil
}
