package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"s3veil/proxy/forward"
)

// systemRoots is where systems keep the authorities that they trust; the image has the first.
var systemRoots = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}

// caBundleName is the file with all authorities.
const caBundleName = "bundle.pem"

func (p *program) caBundleCommand() *cobra.Command {
	var out, file, text, roots string
	c := &cobra.Command{
		Use:   "bundle --ca FILE --out DIR",
		Short: "Write an authority and the system's into one list for applications",
		Long: `Write ca.pem and bundle.pem into a folder: the authority alone, and behind the authorities that the system trusts.
Variables such as SSL_CERT_FILE replace the system's list, so that applications need both. Old files are replaced.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if (file == "") == (text == "") || out == "" {
				return usageError{errors.New("needs --out, and either --ca or --pem")}
			}
			ca := []byte(text)
			if file != "" {
				var err error
				if ca, err = os.ReadFile(file); err != nil {
					return err
				}
			}
			return p.bundleCA(out, ca, roots)
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder to write to")
	c.Flags().StringVar(&file, "ca", "", "certificate of the authority")
	c.Flags().StringVar(&text, "pem", "", "the certificate itself, in place of --ca")
	c.Flags().StringVar(&roots, "roots", "", "list of the authorities to trust beside it; left out: the system's")
	return c
}

func (p *program) bundleCA(out string, ca []byte, roots string) error {
	if _, err := forward.ParseAuthority(ca, time.Now()); err != nil {
		return fmt.Errorf("the authority: %w", err)
	}
	list := systemRoots
	if roots != "" {
		list = []string{roots}
	}
	var system []byte
	for _, name := range list {
		text, err := os.ReadFile(name)
		if err == nil {
			system = text
			break
		}
		if roots != "" {
			return err
		}
	}
	if !bytes.Contains(system, []byte("-----BEGIN CERTIFICATE-----")) {
		return fmt.Errorf("no authorities of the system found (%q); --roots names a list", list)
	}
	ca = append(bytes.TrimSpace(ca), '\n')
	for name, text := range map[string][]byte{caCertName: ca, caBundleName: append(append(bytes.TrimSpace(system), '\n'), ca...)} {
		if err := replaceFile(filepath.Join(out, name), text); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.stdout, "%s: for applications to trust\n", filepath.Join(out, caBundleName))
	return nil
}

// replaceFile writes a file that everybody may read, whole or not at all.
func replaceFile(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
