//go:build nodevstore || !(linux || darwin || freebsd)

package main

import (
	"strings"
	"testing"
)

func TestDevSaysThatThereIsNoStore(t *testing.T) {
	code, out, errs := s3veil(nil, "dev")
	if code != exitFailed || out != "" || !strings.Contains(errs, "no embedded store") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}
