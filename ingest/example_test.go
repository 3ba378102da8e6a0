package ingest_test

import (
	"context"
	"fmt"
	"strings"

	"remuda/ingest"
	"remuda/store"
)

// What is wrong with one event does not spoil those beside it.
func ExampleIngester_Ingest() {
	s, err := store.New(store.Options{Node: "iad", Region: "us-east-1"})
	if err != nil {
		panic(err)
	}
	in, err := ingest.New(ingest.Options{Store: s})
	if err != nil {
		panic(err)
	}
	lines := `{"chain":"base","provider_id":"ankr_1","method":"eth_call","duration_ms":42,"result":"success"}
{"chain":"base","provider_id":"ankr_1","method":"eth_call","duration_ms":"slow","result":"success"}
`
	receipt, err := in.Ingest(context.Background(), ingest.Body{Reader: strings.NewReader(lines), Type: "application/x-ndjson"})
	if err != nil {
		panic(err)
	}
	fmt.Println(receipt.Accepted, "accepted,", receipt.Rejected, "rejected")
	for _, r := range receipt.Refusals {
		fmt.Printf("line %d: %s: %s: %s\n", r.Line, r.Field, r.Code, r.Detail)
	}
	// Output:
	// 1 accepted, 1 rejected
	// line 2: duration_ms: wrong_type: must be a number
}
