package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"s3veil/proxy/audit"
)

func (p *program) auditLogCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit-log",
		Short: "Check audit logs",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.auditVerifyCommand())
	return c
}

// auditVerify is a run of audit-log verify.
type auditVerify struct {
	check  audit.Verifier
	expect []string
	json   bool
}

func (p *program) auditVerifyCommand() *cobra.Command {
	var v auditVerify
	c := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check the hash chain of an audit log and name the first line that breaks it",
		Long: `Check the hash chain of an audit log and name the first line that breaks it. Several files are one log, the oldest
first; - is standard input; files compressed with gzip are read as they are.

Lines cut off at the end leave a whole chain: keep the last hash elsewhere and give it as --expect. The exit code is 0 for a
whole chain, 1 for a broken one or a file that cannot be read.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("the file is missing")}
			}
			return v.checkHashes()
		},
		RunE: func(_ *cobra.Command, args []string) error { return v.run(p, args) },
	}
	c.Flags().StringVar(&v.check.After, "after", "", "hash of the last line before the first file, where older files are gone")
	c.Flags().StringSliceVar(&v.expect, "expect", nil, "hash of a line that must be in the log")
	c.Flags().BoolVar(&v.check.Chains, "chains", false, "accept several chains, each from its beginning: restarts without the old log, several processes in one log")
	c.Flags().BoolVar(&v.check.Syslog, "syslog", false, "cut off what a syslog daemon puts in front of lines, and pass over lines of other programs")
	c.Flags().BoolVar(&v.json, "json", false, "print JSON")
	return c
}

var hashText = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (v *auditVerify) checkHashes() error {
	for _, h := range append(v.expect, v.check.After) {
		if h != "" && !hashText.MatchString(h) {
			return usageError{fmt.Errorf("%q is not a hash of 64 hexadecimal digits", h)}
		}
	}
	return nil
}

// errBrokenLog makes the exit code tell; what is broken has been printed.
var errBrokenLog = errors.New("the audit log is not whole")

func (v *auditVerify) run(p *program, files []string) error {
	for _, h := range v.expect {
		v.check.Expect(h)
	}
	var broken error
	for _, name := range files {
		if broken = readLog(name, p.stdin, v.check.Read); broken != nil {
			break
		}
	}
	report, err := v.check.Finish()
	if broken == nil {
		broken = err
	}
	if broken != nil && !errors.Is(broken, audit.ErrChain) {
		return broken
	}
	if err := v.print(p.stdout, report); err != nil {
		return err
	}
	if broken != nil {
		return errBrokenLog
	}
	return nil
}

// readLog opens a file, unpacks it where it is packed, and hands it to f.
func readLog(name string, stdin io.Reader, f func(name string, r io.Reader) error) error {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	buffered := bufio.NewReader(in)
	in = buffered
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		in = z
	}
	return f(name, in)
}

func (v *auditVerify) print(out io.Writer, r *audit.Report) error {
	if v.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			OK bool `json:"ok"`
			*audit.Report
		}{r.Break == nil, r})
	}
	for _, t := range r.Torn {
		fmt.Fprintf(out, "%s: never finished: the process or the disk stopped while the line was written\n", t)
	}
	if r.Lost > 0 {
		fmt.Fprintf(out, "%d lines could not be written, says the log itself (%s)\n", r.Lost, audit.LinesLost)
	}
	if r.Break != nil {
		_, err := fmt.Fprintf(out, "%s\n%d lines hold up to there\n", r.Break, r.Lines)
		return err
	}
	if r.Lines == 0 {
		_, err := fmt.Fprintln(out, "no lines")
		return err
	}
	fmt.Fprintf(out, "%d lines in %d unbroken %s, %s to %s\n", r.Lines, r.Chains, map[bool]string{true: "chain", false: "chains"}[r.Chains == 1],
		r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	for _, h := range r.Last {
		fmt.Fprintf(out, "last hash %s\n", h)
	}
	return nil
}
