package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, build and FIPS mode",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			return printVersion(p.stdout, describe(info))
		},
	}
}

// stampedVersion and stampedCommit are set by builds that have no repository at hand (Dockerfile).
var stampedVersion, stampedCommit string

// build is what a binary knows about itself.
type build struct{ version, commit, time, goVersion string }

// describe reads the build information; info may be nil.
func describe(info *debug.BuildInfo) build {
	b := build{version: "devel", commit: "unknown", goVersion: runtime.Version()}
	if info == nil {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.version = v
	}
	dirty := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value
		case "vcs.time":
			b.time = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if dirty {
		b.commit += " (modified)"
	}
	return b.stamped(stampedVersion, stampedCommit)
}

// stamped replaces what the build was told.
func (b build) stamped(version, commit string) build {
	if version != "" {
		b.version = version
	}
	if commit != "" {
		b.commit = commit
	}
	return b
}

func printVersion(w io.Writer, b build) error {
	_, err := fmt.Fprintf(w, "s3veil %s\ncommit %s\n", b.version, b.commit)
	if b.time != "" {
		_, err = fmt.Fprintln(w, "built from", b.time)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "go %s %s/%s\nfips %s\n", b.goVersion, runtime.GOOS, runtime.GOARCH, fipsMode())
	}
	return err
}

// buildVersion is the version that build_info tells.
func buildVersion() string {
	info, _ := debug.ReadBuildInfo()
	return describe(info).version
}
