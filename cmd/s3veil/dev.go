package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"s3veil/cmd/s3veil/internal/devstore"
	"s3veil/crypto/kms/local"
)

// devFlags are the flags of `s3veil dev`.
type devFlags struct{ listen, admin, data, accessKey, secretKey, upstreamListen string }

// The files in the data directory of `s3veil dev`, beside those of the store.
const (
	devConfig      = "s3veil.yaml"
	devKeys        = "keys.json"
	devSecret      = "secret-key"
	devStoreSecret = "store-secret-key"
)

const (
	devRegion   = "us-east-1"
	devStoreKey = "store" // access key of the embedded store
)

func (p *program) devCommand() *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run the proxy in front of an embedded store, with nothing to set up",
		Long: `Run the proxy in front of an embedded S3 store that keeps its objects in a directory, with a local key file. It prints
the endpoint, the credentials and commands to try, and shows what lies encrypted on disk. Not for production.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.dev(c.Context(), f) },
	}
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of the S3 endpoint")
	c.Flags().StringVar(&f.admin, "admin", "127.0.0.1:8081", "address of the admin endpoint")
	c.Flags().StringVar(&f.data, "data", "", "directory that keeps everything (default: a temporary one, removed at the end)")
	c.Flags().StringVar(&f.accessKey, "access-key", "dev", "access key of the client")
	c.Flags().StringVar(&f.secretKey, "secret-key", "", "its secret key (default: random, kept in the data directory)")
	c.Flags().StringVar(&f.upstreamListen, "upstream-listen", "127.0.0.1:0", "address where the embedded store can be looked at directly")
	return c
}

// dev prepares a data directory, starts the store in it and serves in front of it.
func (p *program) dev(ctx context.Context, f devFlags) (err error) {
	if !devstore.Available {
		return devstore.ErrAbsent
	}
	d := &devSetup{devFlags: f, temporary: f.data == ""}
	if d.temporary {
		d.dir, err = os.MkdirTemp("", "s3veil-dev-")
	} else if d.dir, err = filepath.Abs(f.data); err == nil {
		err = os.MkdirAll(d.dir, 0o700)
	}
	if err != nil {
		return err
	}
	if d.temporary {
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	}
	if err := d.prepare(); err != nil {
		return err
	}
	store, err := devstore.Start(ctx, devstore.Options{Dir: d.dir, Listen: f.upstreamListen, AccessKey: devStoreKey,
		SecretKey: d.storeSecret.reveal(), Region: devRegion})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Stop()) }()
	d.store = store
	if err := d.writeConfig(); err != nil {
		return err
	}
	before := p.started
	p.started = func(at endpoints) {
		d.at = at
		d.welcome(ctx, p.stdout)
		if before != nil {
			before(at)
		}
	}
	defer func() { p.started = before }()
	return p.serve(ctx, sources{File: d.file(devConfig)}, store.Ended())
}

// devSetup is what `s3veil dev` has prepared.
type devSetup struct {
	devFlags
	dir                 string // absolute
	temporary           bool
	secret, storeSecret Secret
	store               *devstore.Store
	at                  endpoints
}

func (d *devSetup) file(name string) string { return filepath.Join(d.dir, name) }

// prepare makes keys and secrets, or takes those that the directory has already.
func (d *devSetup) prepare() (err error) {
	if d.secret, err = keptSecret(d.file(devSecret), Secret(d.secretKey)); err != nil {
		return err
	}
	if d.storeSecret, err = keptSecret(d.file(devStoreSecret), ""); err != nil {
		return err
	}
	if _, err = os.Stat(d.file(devKeys)); errors.Is(err, os.ErrNotExist) {
		err = local.New(d.file(devKeys), defaultKeyID, time.Now())
	}
	return err
}

// keptSecret returns wanted and keeps it in a file; without it the one kept there, or a new one.
func keptSecret(file string, wanted Secret) (Secret, error) {
	if wanted == "" {
		s, err := readSecret(file)
		if !errors.Is(err, os.ErrNotExist) {
			return s, err
		}
		wanted = Secret(rand.Text())
	}
	return wanted, os.WriteFile(file, []byte(wanted.reveal()+"\n"), 0o600)
}

// writeConfig writes an ordinary configuration file, which other commands and `s3veil serve` can be given as well.
func (d *devSetup) writeConfig() error {
	type object = map[string]any
	text, err := yaml.Marshal(object{
		"listen": d.listen,
		"admin":  d.admin,
		"log":    object{"format": "text", "level": "warn"},
		"audit":  object{"to": "off"},
		"upstream": object{
			"endpoint":    d.store.Endpoint,
			"region":      devRegion,
			"path_style":  true,
			"credentials": object{"access_key": devStoreKey, "secret_key_file": devStoreSecret},
		},
		"clients": []object{{"access_key": d.accessKey, "secret_key_file": devSecret, "buckets": []string{"*"},
			"actions": []string{"read", "write", "delete", "admin"}}},
		"kms":     object{"keys": []object{{"id": defaultKeyID, "provider": "local", "file": devKeys}}},
		"buckets": []object{{"name": "*", "key": defaultKeyID}},
	})
	if err != nil {
		return err
	}
	head := "# Written by `s3veil dev` at every start.\n"
	return os.WriteFile(d.file(devConfig), append([]byte(head), text...), 0o600)
}
