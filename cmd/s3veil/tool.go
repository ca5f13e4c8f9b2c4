package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"s3veil/proxy"
)

// toolFlags are the flags of commands that work on objects with the configuration of the proxy.
type toolFlags struct{ config, version string }

func (f *toolFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.config, "config", "", "configuration file of the proxy (S3VEIL_CONFIG)")
	c.Flags().StringVar(&f.version, "version-id", "", "version of the object")
}

// target is one object as clients name it.
type target struct{ bucket, key string }

// parseTarget reads s3://bucket/key. The key is taken as it stands, without any decoding.
func parseTarget(text string) (target, error) {
	rest, ok := strings.CutPrefix(text, "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" || key == "" {
		return target{}, usageError{fmt.Errorf("%q is not s3://bucket/key", text)}
	}
	return target{bucket, key}, nil
}

// oneTarget refuses anything but one argument.
func oneTarget(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%q takes one object, s3://bucket/key", c.CommandPath())}
	}
	_, err := parseTarget(args[0])
	return err
}

// withProxy runs f over a proxy that listens nowhere. Clients, rules and the audit log play no part: whoever has the
// configuration has the store's credentials and the keys.
func (p *program) withProxy(ctx context.Context, file string, f func(*proxy.Server) error) (err error) {
	if file == "" {
		file = p.variable(configVariable)
	}
	l := load(sources{File: file, Env: p.env})
	validate(l)
	log := newLogger(p.stderr, Log{Format: l.Log.Format, Level: "warn"})
	w := wire(ctx, l, nil, log)
	if err := l.bad.err(); err != nil {
		return err
	}
	server, err := proxy.New(l.options(log, int64(l.Limits.Memory)), w.settings)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err = errors.Join(err, server.Shutdown(ctx))
	}()
	return f(server)
}
