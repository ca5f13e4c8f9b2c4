// Package gosdk runs the suite and the Go SDKs against s3veil in front of versitygw. It needs nothing but Go.
package gosdk

import (
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// bareVersity are cases that versitygw itself answers otherwise than S3: the run against it shows that the suite expects
// what S3 does.
var bareVersity = map[string]string{
	"GetObject_if_range":                          "ignores If-Range",
	"CopyObject_source_conditions":                "answers 304 to a false x-amz-copy-source-if-none-match",
	"DeleteObjects_quiet":                         "ignores Quiet",
	"Answer_304_has_its_ETag_and_no_body":         "answers 304 without ETag",
	"Answer_Content_Encoding_without_aws_chunked": "keeps aws-chunked as a property of the object",
	"UploadPart_of_unknown_upload":                "answers 500 to an upload id longer than a file name",
}

// veilVersity are those of them that show through s3veil.
var veilVersity = map[string]string{"DeleteObjects_quiet": bareVersity["DeleteObjects_quiet"]}

func TestBareVersityMeetsTheSuite(t *testing.T) {
	suite.Run(t, s3veil.Bare(servers.MustShared(t, servers.Versity)), bareVersity)
}

func TestS3veilMeetsTheSuite(t *testing.T) {
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Replicas: 2})
	suite.Run(t, &c.Target, veilVersity)
}

// Over https the SDKs send other payload modes than over http.
func TestS3veilOverTLSMeetsTheSuite(t *testing.T) {
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), TLS: true})
	suite.Run(t, &c.Target, veilVersity)
}
