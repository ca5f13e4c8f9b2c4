//go:build integration

// Package integration runs the suite against every store, and clients that are programs of their own: Python's boto3,
// aws-cli, rclone, s3cmd, restic, curl.
package integration

import (
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }
