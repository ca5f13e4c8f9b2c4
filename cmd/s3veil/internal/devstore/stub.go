//go:build nodevstore || !(linux || darwin || freebsd)

package devstore

import (
	"context"
	"errors"
)

// ErrAbsent says that this build has no embedded store.
var ErrAbsent = errors.New("this build has no embedded store; use `go run ./cmd/s3veil dev` of the source, " +
	"or `s3veil serve` in front of a store of your own")

// Available reports whether this build has an embedded store.
const Available = false

// Store is never made by this build.
type Store struct{ Endpoint, Metadata string }

// Start fails with ErrAbsent.
func Start(context.Context, Options) (*Store, error) { return nil, ErrAbsent }

// Ended is never closed.
func (*Store) Ended() <-chan struct{} { return nil }

// Stop does nothing.
func (*Store) Stop() error { return nil }
