package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// program is one run of s3veil with everything it knows of the process around it, so that tests run the whole of it.
type program struct {
	env            []string
	stdin          io.Reader
	stdout, stderr io.Writer
	signals        <-chan os.Signal // SIGINT and SIGTERM end the run, SIGHUP reloads

	started func(endpoints) // called when all listeners are open; nil for nobody
	poll    time.Duration   // between looks at watched files; pollEvery when zero
}

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for did not work
	exitUsage  = 2 // the command line makes no sense
)

// errUsage marks mistakes of the command line.
var errUsage = errors.New("usage")

// usageError is a mistake of the command line that says so.
type usageError struct{ error }

func (usageError) Is(target error) bool { return target == errUsage }

// run executes a command line and returns the exit code.
func (p *program) run(args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	var wrong mistakes
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintln(p.stderr, wrong)
		return exitFailed
	case errors.Is(err, errUsage):
		fmt.Fprintf(p.stderr, "s3veil: %v\nSee \"s3veil --help\".\n", err)
		return exitUsage
	}
	fmt.Fprintln(p.stderr, "s3veil:", printableLines(err.Error()))
	return exitFailed
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "s3veil",
		Short:         "Encrypts S3 traffic between an unchanged application and any S3 store",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCommand(root))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if c == root || c.Name() == "version" || c.Name() == "help" {
			return nil
		}
		return refuseEnforced()
	}
	root.AddCommand(p.serveCommand(), p.devCommand(), p.keysCommand(), p.inspectCommand(), p.repairCommand(), p.auditLogCommand(), p.caCommand(), p.injectCommand(), p.versionCommand())
	return root
}

// helpCommand shows what a command does; unlike cobra's own it fails for commands that do not exist.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{Use: "help [command]", Short: "Help about a command", RunE: func(_ *cobra.Command, args []string) error {
		c, rest, err := root.Find(args)
		if err != nil {
			return usageError{err}
		}
		if err := noArgs(c, rest); err != nil {
			return err
		}
		return c.Help()
	}}
}

// noArgs refuses arguments, as a mistake of the command line.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command or argument %q for %q", args[0], c.CommandPath())
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %q?", err, near[0])
	}
	return usageError{err}
}

// stopSignal reports whether a signal asks the program to end.
func stopSignal(s os.Signal) bool { return s == os.Interrupt || s == syscall.SIGTERM }

// newLogger writes structured lines to w.
func newLogger(w io.Writer, c Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(visible{w}, opts))
}
