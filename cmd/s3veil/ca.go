package main

import (
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"s3veil/proxy/forward"
)

// The files of a certificate authority.
const (
	caCertName = "ca.pem"
	caKeyName  = "ca.key"
)

func (p *program) caCommand() *cobra.Command {
	var out string
	var hosts []string
	var days int
	c := &cobra.Command{
		Use:   "ca",
		Short: "Make a certificate authority for the forward proxy",
		Long: `Make a certificate authority for the forward proxy: ca.pem, which clients have to trust, and ca.key, which only s3veil may
have. It can sign for the given S3 hosts and names below them, and for nothing else. Files that are there already are never
replaced.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if days < 1 {
				return usageError{errors.New("--days must be 1 or more")}
			}
			return p.makeCA(out, hosts, time.Duration(days)*24*time.Hour)
		},
	}
	c.Flags().StringVar(&out, "out", ".", "folder to make the files in")
	c.Flags().StringSliceVar(&hosts, "host", []string{forward.AWS}, "S3 hosts as in forward.hosts of the configuration; aws are the domains of AWS")
	c.Flags().IntVar(&days, "days", 1825, "how long it is good")
	c.AddCommand(p.caBundleCommand())
	return c
}

func (p *program) makeCA(dir string, hosts []string, life time.Duration) error {
	cert, key, err := forward.NewCA(hosts, time.Now(), life)
	if err != nil {
		return usageError{err}
	}
	defer clear(key)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	certFile, keyFile := filepath.Join(dir, caCertName), filepath.Join(dir, caKeyName)
	if _, err := os.Lstat(certFile); err == nil {
		return fmt.Errorf("%s is there already", certFile)
	}
	if err := createFile(keyFile, key, 0o600); err != nil {
		return err
	}
	if err := createFile(certFile, cert, 0o644); err != nil {
		return errors.Join(err, os.Remove(keyFile))
	}
	block, _ := pem.Decode(cert)
	fmt.Fprintf(p.stdout, "%s: for clients to trust; SHA-256 %X\n%s: for s3veil alone\n", certFile, sha256.Sum256(block.Bytes), keyFile)
	return nil
}

// createFile writes a file that must not be there yet.
func createFile(name string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already", name)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
