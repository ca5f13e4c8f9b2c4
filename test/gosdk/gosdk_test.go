// Package gosdk runs the suite and the Go SDKs against s3veil in front of versitygw. It needs nothing but Go.
package gosdk

import (
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// bareVersity are cases that versitygw itself answers otherwise than S3.
var bareVersity = map[string]string{
	"GetObject_if_range":           "ignores If-Range",
	"CopyObject_source_conditions": "answers 304 to a false x-amz-copy-source-if-none-match",
	"DeleteObjects_quiet":          "ignores Quiet",
	"UploadPart_of_unknown_upload": "answers 500 to an upload id longer than a file name",
}

func TestBareVersityMeetsTheSuite(t *testing.T) {
	suite.Run(t, s3veil.Bare(servers.MustShared(t, servers.Versity)), bareVersity)
}
