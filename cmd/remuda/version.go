package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

// Run prints what this program is.
func (versionCommand) Run() error {
	fmt.Println(versionLine())
	return nil
}

func versionLine() string {
	return fmt.Sprintf("remuda %s %s %s/%s", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildVersion is the version, with the commit where the build knows it.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && version == "dev" {
			return version + "-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return version
}
