package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"remuda/cmd/remuda/internal/node"
)

// A node in a process of another kind: a test, or a demonstration.
func ExampleNode_Run() {
	ctx, cancel := context.WithCancel(context.Background())
	n, err := node.New(ctx, node.Options{Node: "iad", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- n.Run(ctx) }()

	event := `{"chain":"base","provider_id":"ankr_1","method":"eth_call","duration_ms":42,"result":"success"}`
	answer, err := http.Post(n.URL()+"/api/v1/events", "application/x-ndjson", strings.NewReader(event))
	if err != nil {
		panic(err)
	}
	_ = answer.Body.Close() // what it says does not matter
	fmt.Println(answer.Status, n.Store().Usage().EventsAccepted)

	cancel()
	fmt.Println(<-ended)
	// Output:
	// 202 Accepted 1
	// <nil>
}
