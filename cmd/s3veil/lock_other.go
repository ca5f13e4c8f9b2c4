//go:build !linux

package main

import "errors"

// canLockMemory: lock_memory works on this system.
const canLockMemory = false

func lockMemory() error { return errors.ErrUnsupported }
