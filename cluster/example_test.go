package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"remuda/cluster"
	"remuda/cluster/disk"
	"remuda/store"
)

// A node joins, makes its store with the number of its run, answers members, and runs
// until its context ends; then it hands over the last that it counted, and leaves.
func Example() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	c, err := cluster.Join(ctx, cluster.Options{
		Node: "iad", Region: "us-east-1", Gossip: "127.0.0.1:7401", HTTPAddr: "127.0.0.1:7400", Join: []string{"127.0.0.1:7411"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	st, err := store.New(store.Options{Node: "iad", Region: "us-east-1", Incarnation: c.Incarnation()})
	if err != nil {
		fmt.Println(err)
		return
	}
	http.Handle("/internal/", c.Handler()) // on 127.0.0.1:7400
	if err := c.Run(ctx, st, disk.Remembered{}); err != nil {
		fmt.Println(err)
		return
	}
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.Leave(last); err != nil {
		fmt.Println(err)
	}
}
