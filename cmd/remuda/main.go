// Command remuda runs a node of remuda, and talks to one.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"remuda/cluster"
	"remuda/cmd/remuda/internal/load"
)

// version is set when the program is built from a release.
var version = "dev"

var commands struct {
	Serve   serveCommand   `cmd:"" help:"Run a node."`
	Send    sendCommand    `cmd:"" help:"Post events from a file or a pipe to a node."`
	Top     topCommand     `cmd:"" help:"Show providers live in the terminal."`
	Watch   watchCommand   `cmd:"" help:"Print the frames of the providers' stream, one JSON object a line."`
	Members membersCommand `cmd:"" help:"Show the members of a node's cluster."`
	Demo    demoCommand    `cmd:"" help:"Run three nodes with synthetic traffic, an outage that comes back, and a node that is killed and does."`
	Load    loadCommand    `cmd:"" help:"Put nodes under load and check that every event is counted."`
	Version versionCommand `cmd:"" help:"Print the version."`

	VersionFlag kong.VersionFlag `name:"version" env:"-" help:"Print the version."`
}

const description = `Live numbers of RPC providers, from every gateway to every viewer.

  remuda serve    a node alone: open http://127.0.0.1:7400
  remuda demo     something to see

Every flag has a twin in the environment: --node is REMUDA_NODE.
Faults of the command line end the program with status 2, all others with 1.`

// errReported ends the program with status 1; what is wrong has been said.
var errReported = errors.New("reported")

// usageError is a fault of the command line, or of a variable that stands for a flag: it
// ends the program with status 2.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	parser := kong.Must(&commands,
		kong.Name("remuda"), kong.Description(description), kong.DefaultEnvars("REMUDA"), kong.ShortUsageOnError(),
		kong.Exit(func(code int) { os.Exit(2 * min(code, 1)) }), // it has numbers of its own for faults of the command line
		kong.Vars{"version": versionLine()}, kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	call, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	call.BindTo(ctx, (*context.Context)(nil))
	call.Bind(strayVariables(parser.Model, os.Environ()))
	switch err := call.Run(); {
	case err == nil:
	case errors.As(err, new(usageError)), errors.As(err, new(load.PlanError)):
		fmt.Fprintln(os.Stderr, "remuda: "+err.Error())
		os.Exit(2)
	case errors.Is(err, errReported):
		os.Exit(1)
	case errors.Is(err, cluster.ErrNameTaken), errors.Is(err, cluster.ErrEvicted):
		fmt.Fprintln(os.Stderr, "remuda: "+err.Error())
		os.Exit(3)
	default:
		fmt.Fprintln(os.Stderr, "remuda: "+err.Error())
		os.Exit(1)
	}
}
