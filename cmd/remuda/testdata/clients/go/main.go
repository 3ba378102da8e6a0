// Command clients prints the providers of the node whose URL is given, by a client that
// was made of /openapi.json.
package main

import (
	"context"
	"fmt"
	"os"

	"clients/api"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(url string) error {
	client, err := api.NewClientWithResponses(url)
	if err != nil {
		return err
	}
	chain, window := "c", api.GetProvidersParamsWindow("5m")
	answer, err := client.GetProvidersWithResponse(context.Background(), &api.GetProvidersParams{Chain: &chain, Window: &window})
	if err != nil {
		return err
	}
	if answer.JSON200 == nil {
		return fmt.Errorf("%s: %s", answer.Status(), answer.Body)
	}
	for _, row := range answer.JSON200.Rows {
		var latency float64 = *row.P95LatencyMs
		lag := "null"
		if row.BlockLagBlocks != nil {
			lag = fmt.Sprint(*row.BlockLagBlocks)
		}
		fmt.Println(row.Key, row.TotalCalls, latency, lag)
	}
	return nil
}
