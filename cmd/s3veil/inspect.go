package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"s3veil/proxy"
)

// errProblems makes the exit code tell that something is wrong with an object; what it is has been printed.
var errProblems = errors.New("the object has problems")

func (p *program) inspectCommand() *cobra.Command {
	var f toolFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect s3://BUCKET/KEY",
		Short: "Show how an object is encrypted; never a key",
		Long: `Show the envelope of an object: its clear fields, and with the key at hand the sealed ones. The body is not read. Never
shows a key. The exit code is 1 when something is wrong with the object.`,
		Args: oneTarget,
		RunE: func(c *cobra.Command, args []string) error {
			t, err := parseTarget(args[0])
			if err != nil {
				return err
			}
			return p.withProxy(c.Context(), f.config, func(s *proxy.Server) error {
				i, err := s.Inspect(c.Context(), t.bucket, t.key, f.version)
				if err != nil {
					return err
				}
				if err := printInspection(p.stdout, i, asJSON); err != nil {
					return err
				}
				if len(i.Problems) > 0 {
					return errProblems
				}
				return nil
			})
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printInspection(out io.Writer, i *proxy.Inspection, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(visible{out})
		enc.SetIndent("", "  ")
		return enc.Encode(i)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	row("object", "s3://%s/%s", i.Bucket, i.Key)
	if i.VersionID != "" {
		row("version", "%s", i.VersionID)
	}
	if i.StoreBucket != i.Bucket {
		row("bucket at the store", "%s", i.StoreBucket)
	}
	row("format", "%s", i.Format)
	row("size", "%d bytes%s, stored as %d", i.PlaintextSize, unless(i.SizeProven, " by arithmetic"), i.StoredSize)
	row("ETag at the store", "%s", i.ETag)
	if e := i.Envelope; e != nil {
		row("kind", "%s", e.Kind)
		row("suite", "%s", e.Suite)
		row("key", "%s (wrapped in %d bytes)", e.KID, e.Wrapped)
		row("bound to", "%s", e.Binding)
		row("flags", "%s", flags(e))
		for _, name := range slices.Sorted(maps.Keys(e.Pairs)) {
			row("encryption context", "%s=%s", name, e.Pairs[name])
		}
		row("envelope", "%d bytes", e.Bytes)
	}
	if s := i.Sealed; s != nil {
		row("object id", "%s", s.ObjectID)
		row("created", "%s", s.Created.Format(time.RFC3339))
		row("metadata", "%s", map[bool]string{true: "as written", false: "changed since it was written"}[s.MetadataMatches])
		given(row, "content MD5", s.ContentMD5)
		given(row, "checksum", s.Checksum)
		given(row, "other attributes", strings.Join(s.OtherTypes, " "))
	}
	if m := i.Manifest; m != nil {
		row("parts", "%d, numbered %d to %d", m.Parts, m.FirstPart, m.LastPart)
		given(row, "checksum", m.Checksum)
		if m.Repaired != nil {
			row("manifest rebuilt", "%s", m.Repaired.Format(time.RFC3339))
		}
	}
	for _, p := range i.Problems {
		row("PROBLEM", "%s", p)
	}
	return w.Flush()
}

func unless(ok bool, text string) string {
	if ok {
		return ""
	}
	return text
}

func given(row func(name, format string, args ...any), name, value string) {
	if value != "" {
		row(name, "%s", value)
	}
}

func flags(e *proxy.InspectedEnvelope) string {
	var out []string
	if e.Padded {
		out = append(out, "padded")
	}
	if e.SealedMeta {
		out = append(out, "sealed metadata")
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}
