//go:build !nodevstore && (linux || darwin || freebsd)

package devstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

// ErrAbsent is what builds without a store return.
var ErrAbsent = errors.New("no embedded store")

// Available reports whether this build has an embedded store.
const Available = true

// Store is a running store. A process can have one at a time.
type Store struct {
	Endpoint string // http://host:port
	Metadata string // "extended attributes" or "sidecar files"

	before string // working directory to return to
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of the store; valid once ended is closed
}

// startWait bounds how long the store may take to listen.
const startWait = 10 * time.Second

// maxCopy is the largest object that CopyObject takes, as on S3; left at zero every copy would be refused.
const maxCopy = 5 << 30

// Start opens the store in o.Dir and serves it until Stop. It changes the working directory of the process to the store's
// root, which the store depends on: relative paths mean something else until Stop, which changes it back.
func Start(ctx context.Context, o Options) (*Store, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	before, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	be, metadata, err := open(dir)
	if err != nil {
		return nil, errors.Join(err, os.Chdir(before))
	}
	addr, err := reserve(o.Listen)
	if err != nil {
		return nil, errors.Join(err, os.Chdir(before))
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Store{Endpoint: "http://" + addr, Metadata: metadata, before: before, cancel: cancel, ended: make(chan struct{})}
	listening := make(chan struct{})
	go func() {
		defer close(s.ended)
		s.err = embedgw.RunVersityGW(ctx, be, &embedgw.Config{
			IAMService: auth.NewIAMServiceSingle(auth.Account{Access: o.AccessKey, Secret: o.SecretKey,
				Role: auth.RoleAdmin}), // what it would make by itself, but without a word on standard output
			RootUserAccess:    o.AccessKey,
			RootUserSecret:    o.SecretKey,
			Region:            o.Region,
			Ports:             []string{addr},
			MaxConnections:    4096,
			MaxRequests:       2048,
			MultipartMaxParts: 10000,
			KeepAlive:         true, // off by default
			Quiet:             true,
			IAMCacheDisable:   true, // a zero prune interval would spin
			S3Options:         []s3api.Option{s3api.WithOnListen(func() { close(listening) })},
		})
	}()
	select {
	case <-listening:
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("embedded store at %s: %w", addr, s.Stop())
	case <-time.After(startWait):
		return nil, errors.Join(fmt.Errorf("embedded store at %s does not listen", addr), s.Stop())
	}
}

// open makes the folders and returns the backend over them, with the place of its metadata.
func open(dir string) (backend.Backend, string, error) {
	root, versions, side := filepath.Join(dir, objectsDir), filepath.Join(dir, versionsDir), filepath.Join(dir, metadataDir)
	for _, d := range []string{root, versions} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, "", err
		}
	}
	opts := posix.PosixOpts{VersioningDir: versions, CopyObjectThreshold: maxCopy}
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	if hasAttributes(root) && !exists(side) {
		be, err := quietly(func() (backend.Backend, error) { return posix.New(root, meta.XattrMeta{}, opts) })
		return be, "extended attributes", err
	}
	if err := os.MkdirAll(side, 0o700); err != nil {
		return nil, "", err
	}
	sidecar, err := meta.NewSideCar(side)
	if err != nil {
		return nil, "", err
	}
	opts.SideCarDir = side
	be, err := quietly(func() (backend.Backend, error) { return posix.New(root, sidecar, opts) })
	return be, "sidecar files", err
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// hasAttributes tries a user attribute on a file in dir. Asking alone is not enough: some file systems allow reading only.
func hasAttributes(dir string) bool {
	f, err := os.CreateTemp(dir, ".attributes-")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return meta.XattrMeta{}.StoreAttribute(f, dir, filepath.Base(f.Name()), "probe", []byte("1")) == nil
}

// quietly keeps what the store prints while it is set up away from standard output.
func quietly(f func() (backend.Backend, error)) (backend.Backend, error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return f()
	}
	defer null.Close()
	out := os.Stdout
	os.Stdout = null
	defer func() { os.Stdout = out }()
	return f()
}

// reserve turns port 0 into a free port, since the store does not tell which one it has got.
func reserve(listen string) (string, error) {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return "", err
	}
	addr := ln.Addr().String()
	return addr, ln.Close()
}

// Ended is closed when the store has ended, by Stop or by itself.
func (s *Store) Ended() <-chan struct{} { return s.ended }

// Stop ends the store, returns to the former working directory, and reports why the store ended if it did by itself.
func (s *Store) Stop() error {
	s.cancel()
	<-s.ended
	return errors.Join(s.err, os.Chdir(s.before))
}
