package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"s3veil/proxy"
)

func (p *program) repairCommand() *cobra.Command {
	var f toolFlags
	var yes, dry bool
	c := &cobra.Command{
		Use:   "repair s3://BUCKET/KEY",
		Short: "Rebuild the lost part table of a multipart object",
		Long: `Rebuild the part table of a multipart object whose manifest is missing or does not fit. The whole body is read and
authenticated. Every byte is then known to belong to the object and to stand where it was written, but that no whole
part is missing cannot be proved: compare size and number of parts with what you know before you agree.`,
		Args: oneTarget,
		RunE: func(c *cobra.Command, args []string) error {
			t, err := parseTarget(args[0])
			if err != nil {
				return err
			}
			return p.withProxy(c.Context(), f.config, func(s *proxy.Server) error {
				r, err := s.FindParts(c.Context(), t.bucket, t.key, f.version)
				if errors.Is(err, proxy.ErrIntact) {
					fmt.Fprintln(p.stdout, "nothing to repair: the object has a part table that fits, or needs none")
					return nil
				}
				if err != nil {
					return err
				}
				showParts(p.stdout, r)
				if dry {
					return nil
				}
				if !yes && !p.agrees("Write this part table?") {
					return errors.New("nothing has been written")
				}
				name, err := r.Write()
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "written to %s; the object reads again\n", name)
				return nil
			})
		},
	}
	f.add(c)
	c.Flags().BoolVar(&yes, "yes", false, "write without asking")
	c.Flags().BoolVar(&dry, "dry-run", false, "show what would be written")
	return c
}

// showParts prints a rebuilt part table, runs of equal parts in one line.
func showParts(w io.Writer, r *proxy.Rebuilt) {
	fmt.Fprintf(w, "s3://%s/%s: every byte of %d stored ones is authentic\n", r.Bucket, r.Key, r.StoredSize)
	fmt.Fprintf(w, "plaintext: %d bytes in %d parts\n", r.Table.Plain(), r.Table.Len())
	for i := 0; i < r.Table.Len(); {
		first := r.Table.Part(i)
		last := first
		for i++; i < r.Table.Len(); i++ {
			next := r.Table.Part(i)
			if next.Size != first.Size || next.Number != last.Number+1 {
				break
			}
			last = next
		}
		if first == last {
			fmt.Fprintf(w, "  part %d: %d bytes\n", first.Number, first.Size)
		} else {
			fmt.Fprintf(w, "  parts %d to %d: %d bytes each\n", first.Number, last.Number, first.Size)
		}
	}
	switch {
	case r.StoreParts == 0:
		fmt.Fprintln(w, "the store's ETag tells no number of parts to compare with")
	case r.StoreParts != r.Table.Len():
		fmt.Fprintf(w, "WARNING: the store's ETag tells of %d parts. Unless the object is a copy or had empty parts, some are missing.\n", r.StoreParts)
	default:
		fmt.Fprintln(w, "the store's ETag tells the same number of parts")
	}
}

// agrees asks for a yes.
func (p *program) agrees(question string) bool {
	fmt.Fprintf(p.stdout, "%s It cannot prove that no whole part is missing. [y/N] ", question)
	line, _ := bufio.NewReader(p.stdin).ReadString('\n')
	word := strings.ToLower(strings.TrimSpace(line))
	return word == "y" || word == "yes"
}
