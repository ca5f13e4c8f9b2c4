package s3xml

import (
	"errors"
	"slices"
	"testing"

	"s3veil/proxy/s3err"
)

func TestDestinations(t *testing.T) {
	for body, want := range map[string][]string{
		"":    nil,
		"<A>": {"malformed"}, "<!DOCTYPE a><A/>": {"malformed"},
		"<BucketLoggingStatus/>": nil,
		"<BucketLoggingStatus><LoggingEnabled><TargetBucket> logs\n</TargetBucket><TargetPrefix>p</TargetPrefix></LoggingEnabled></BucketLoggingStatus>":                        {"logs", "p"},
		"<R><Rule><Destination><Bucket>arn:aws:s3:::one</Bucket></Destination></Rule><Rule><Destination><x:Bucket>arn:aws-cn:s3:::t&#119;o</x:Bucket></Destination></Rule></R>": {"one", "two"},
		"<R><Bucket/></R>":                      {""},
		"<R><Bucket>a<x/>b</Bucket></R>":        {"malformed"},
		"<R><Bucket>tenant:data</Bucket></R>":   {"tenant:data"},
		"<R><Bucket>data:instance</Bucket></R>": {"data:instance"},
		"<R><Bucket>arn:aws:s3::tenant:data</Bucket><Bucket>arn:aws:s3:::data:1</Bucket></R>":                     {"arn:aws:s3::tenant:data", "arn:aws:s3:::data:1"},
		"<R><Bucket>arn:minio:replication::0-1:data</Bucket></R>":                                                 {"data"},
		"<R><TableBucketArn>arn:aws:s3tables:r:1:bucket/t</TableBucketArn></R>":                                   {"arn:aws:s3tables:r:1:bucket/t"},
		"<R><Filter><Prefix>f</Prefix></Filter><S3BucketDestination><Prefix>p</Prefix></S3BucketDestination></R>": {"p"},
	} {
		got, prefixes, err := Destinations([]byte(body))
		got = append(got, prefixes...)
		if errors.Is(err, s3err.MalformedXML) {
			got = []string{"malformed"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", body, got, err)
		}
	}
}

func TestPlainRestore(t *testing.T) {
	const frame = Header + `<RestoreRequest xmlns="` + Namespace + `">`
	for body, want := range map[string]string{
		"": "",
		"<RestoreRequest><Days>3</Days><Tier>Bulk</Tier><Description>a&amp;b</Description></RestoreRequest>": frame + "<Days>3</Days><Tier>Bulk</Tier><Description>a&amp;b</Description></RestoreRequest>",
		"<RestoreRequest/>": frame + "</RestoreRequest>",
	} {
		if got, err := PlainRestore([]byte(body)); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", body, got, err)
		}
	}
	for body, want := range map[string]error{
		"<RestoreRequest><Type>SELECT</Type></RestoreRequest>":                                         s3err.NotImplemented,
		"<RestoreRequest><SelectParameters/></RestoreRequest>":                                         s3err.NotImplemented,
		"<x:RestoreRequest><x:OutputLocation/></x:RestoreRequest>":                                     s3err.NotImplemented,
		"<RestoreRequest><Days><OutputLocation/></Days></RestoreRequest>":                              s3err.MalformedXML,
		"<RestoreRequest><GlacierJobParameters/></RestoreRequest>":                                     s3err.MalformedXML,
		"<RestoreRequest><GlacierJobParameters><Tier/><Type/></GlacierJobParameters></RestoreRequest>": s3err.MalformedXML,
		"<RestoreRequest><New/></RestoreRequest>":                                                      s3err.MalformedXML,
		"<Restore/>": s3err.MalformedXML,
	} {
		if got, err := PlainRestore([]byte(body)); !errors.Is(err, want) {
			t.Errorf("%s: %s, %v", body, got, err)
		}
	}
}
