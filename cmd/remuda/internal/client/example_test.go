package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"remuda/cmd/remuda/internal/client"
)

// A reader keeps the rows up to date with what the stream says of them.
func ExampleFollow() {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "event: snapshot\nid: 1\ndata: {\"meta\":{\"node\":\"iad\"},\"rows\":[{\"key\":\"base/ankr_1\",\"total_calls\":1}]}\n\n")
		fmt.Fprint(w, "event: delta\nid: 2\ndata: {\"upsert\":[{\"key\":\"base/ankr_1\",\"total_calls\":2}],\"remove\":[]}\n\n")
	}))
	defer node.Close()

	enough := errors.New("enough")
	var rows client.Rows
	err := client.Follow(context.Background(), node.URL, "/api/v1/providers", url.Values{"chain": {"base"}}, func(e client.Event) error {
		if err := rows.Apply(e); err != nil {
			return err
		}
		fmt.Printf("%s %s of %s: %s\n", e.Name, e.ID, rows.Meta.Node, rows.ByKey["base/ankr_1"])
		if e.Name == "delta" {
			return enough
		}
		return nil
	}, func(error) {})
	fmt.Println(err)
	// Output:
	// snapshot 1 of iad: {"key":"base/ankr_1","total_calls":1}
	// delta 2 of iad: {"key":"base/ankr_1","total_calls":2}
	// enough
}
