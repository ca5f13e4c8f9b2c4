//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package kms

import "os"

// ownerOf knows nothing: permission bits do not say here who may read.
func ownerOf(os.FileInfo) (owner, bool) { return owner{}, false }

func processIdentity() identity { return identity{} }
