//go:build !unix || solaris || aix

package audit

import "os"

// lock does nothing on systems without flock.
func lock(*os.File) error { return nil }
