package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"s3veil/crypto/kms/local"
)

func (p *program) keysCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and rotate the keys of a local key file",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.keysNewCommand(), p.keysListCommand(), p.keysRotateCommand(), p.keysWrapCommand())
	return c
}

func (p *program) keysNewCommand() *cobra.Command {
	var out, id string
	c := &cobra.Command{
		Use:   "new --out FILE",
		Short: "Make a key file with one key",
		Long: `Make a key file with one key. A file that is there already is never replaced.

Whoever has the file can read everything under its keys; whoever loses it can read nothing. Keep a copy.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := local.New(out, id, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "%s: key %s; keep a copy in a safe place\n", out, id)
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "file to make")
	c.Flags().StringVar(&id, "id", defaultKeyID, "id of the key, as in kms.keys of the configuration")
	return required(c, "out")
}

func (p *program) keysListCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "list --file FILE",
		Short: "List the keys of a file, without the keys themselves",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			list, err := local.List(file)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tCREATED\tSTATE\tUSE")
			for _, k := range list {
				use := "reads"
				switch {
				case k.Wraps:
					use = "writes and reads"
				case k.State == local.Disabled:
					use = "none"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.Created.Format(time.RFC3339), k.State, use)
			}
			return w.Flush()
		},
	}
	c.Flags().StringVar(&file, "file", "", "key file")
	return required(c, "file")
}

func (p *program) keysRotateCommand() *cobra.Command {
	var file, id string
	c := &cobra.Command{
		Use:   "rotate --file FILE",
		Short: "Add a key that wraps from now on; the former ones go on reading",
		Long: `Add a key that wraps from now on; the former ones go on reading. A running proxy takes it up by itself. With several
replicas, bring the new file to all of them before the first one writes under the new key.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			kid, err := local.Rotate(file, id, time.Now())
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "%s: key %s wraps from now on\n", file, kid)
			return nil
		},
	}
	c.Flags().StringVar(&file, "file", "", "key file")
	c.Flags().StringVar(&id, "id", defaultKeyID, "id whose key is replaced")
	return required(c, "file")
}

// required makes a flag one that must be given.
func required(c *cobra.Command, flag string) *cobra.Command {
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if !c.Flags().Changed(flag) {
			return usageError{fmt.Errorf("--%s is missing", flag)}
		}
		return run(c, args)
	}
	return c
}
