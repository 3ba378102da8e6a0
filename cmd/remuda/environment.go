package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// strays are the variables of the environment that look as if they were flags of this
// program and are none of any of its commands: misspelt, or of another version.
type strays []string

// ofKubernetes are variables that Kubernetes puts into every container when there is a
// service named remuda.
var ofKubernetes = regexp.MustCompile(`^REMUDA_(SERVICE_(HOST|PORT(_.+)?)|PORT(_[0-9]+_.+)?)$`)

func strayVariables(program *kong.Application, environment []string) strays {
	known := make(map[string]bool)
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, flag := range n.Flags {
			for _, name := range flag.Envs {
				known[name] = true
			}
		}
		for _, argument := range n.Positional {
			for _, name := range argument.Tag.Envs {
				known[name] = true
			}
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(program.Node)
	inKubernetes := slices.ContainsFunc(environment, func(s string) bool { return strings.HasPrefix(s, "KUBERNETES_SERVICE_HOST=") })
	var list strays
	for _, variable := range environment {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "REMUDA_") && !known[name] && !(inKubernetes && ofKubernetes.MatchString(name)) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}
