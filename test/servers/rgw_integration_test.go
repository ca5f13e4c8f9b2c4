//go:build integration

package servers

import "testing"

func TestRGWServesAndLeavesNothing(t *testing.T) { serves(t, RGW) }
