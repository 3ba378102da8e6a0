package httpapi_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"

	"remuda/httpapi"
	"remuda/ingest"
	"remuda/ingest/request"
	"remuda/store"
)

// Example is a node without the rest of it: events are posted, and read as a table.
func Example() {
	if err := example(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"accepted":2,"duplicates":0,"rejected":0,"adjusted":0,"errors":[]}
	// key,total_calls
	// arbitrum/drpc,1
	// base/ankr,1
}

func example() error {
	s, err := store.New(store.Options{Node: "iad"})
	if err != nil {
		return err
	}
	in, err := ingest.New(ingest.Options{Store: s})
	if err != nil {
		return err
	}
	api, err := httpapi.New(httpapi.Options{Store: s, Ingester: request.Ingester{Ingester: in}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer api.Close()
	server := httptest.NewServer(api)
	defer server.Close()
	posted, err := server.Client().Post(server.URL+"/api/v1/events", "application/x-ndjson", strings.NewReader(
		`{"chain":"base","provider_id":"ankr","method":"eth_call","duration_ms":42,"result":"success"}
		{"chain":"arbitrum","provider_id":"drpc","method":"eth_call","duration_ms":17,"result":"success"}`))
	if err != nil {
		return err
	}
	defer posted.Body.Close()
	answer, err := io.ReadAll(posted.Body)
	if err != nil {
		return err
	}
	fmt.Print(string(answer))
	read, err := server.Client().Get(server.URL + "/api/v1/providers?format=csv&fields=total_calls")
	if err != nil {
		return err
	}
	defer read.Body.Close()
	rows, err := io.ReadAll(read.Body)
	if err != nil {
		return err
	}
	fmt.Print(strings.ReplaceAll(string(rows), "\r\n", "\n"))
	return nil
}
