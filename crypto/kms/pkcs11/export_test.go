//go:build pkcs11 && cgo

package pkcs11

import "time"

// SetPatience changes how long a library is left alone that does not find a token.
func SetPatience(d time.Duration) (back func()) {
	before := patience
	patience = d
	return func() { patience = before }
}
