package disk_test

import (
	"fmt"
	"log/slog"
	"os"

	"remuda/cluster/disk"
	"remuda/store"
)

// A run notes its number and makes a checkpoint; the next one has a higher number and
// what was held.
func Example() {
	path, err := os.MkdirTemp("", "remuda")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(path) }()
	for range 2 {
		if err := run(path); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// run 1 has what 0 runs counted
	// run 2 has what 1 runs counted
}

func run(path string) error {
	dir, err := disk.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	number := dir.NextIncarnation()
	if err := dir.Begin(number); err != nil {
		return err
	}
	st, err := store.New(store.Options{Node: "iad", Incarnation: number})
	if err != nil {
		return err
	}
	found, err := dir.Restore(st)
	if err != nil {
		return err
	}
	fmt.Println("run", number, "has what", len(found.List), "runs counted")
	return dir.Save(st, nil)
}
