package forward

import (
	"regexp"
	"slices"
	"strings"
)

// AWS is the word of Options.Hosts for the S3 names of AWS.
const AWS = "aws"

// awsSuffixes are the domains of AWS's service endpoints in all partitions (the DNS suffixes of the SDKs' list of partitions).
var awsSuffixes = []string{
	"amazonaws.com", "api.aws", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "amazonaws.eu", "api.amazonwebservices.eu",
	"c2s.ic.gov", "api.aws.ic.gov", "sc2s.sgov.gov", "api.aws.scloud", "api.cloud-aws.adc-e.uk", "cloud.adc-e.uk",
	"csp.hci.ic.gov", "api.aws.hci.ic.gov",
}

type awsKind int

const (
	awsOther   awsKind = iota // no S3 host
	awsS3                     // an endpoint for general purpose buckets
	awsRefused                // objects pass through it that s3veil cannot encrypt
)

var awsRegion = regexp.MustCompile(`^[a-z]{2,6}(-[a-z]+){1,3}-[0-9]{1,2}$`)

// classifyAWS reads a host of AWS. For awsS3, domain is the endpoint without a bucket. What has an S3 name and is not known
// here is refused: new services with objects of their own must not slip past.
func classifyAWS(host string) (kind awsKind, domain string) {
	for _, suffix := range awsSuffixes {
		name, ok := strings.CutSuffix(host, "."+suffix)
		if !ok {
			continue
		}
		labels := strings.Split(name, ".")
		at, kind := serviceOf(labels)
		if kind != awsS3 {
			return kind, ""
		}
		if at > 0 && refusedBucket(strings.Join(labels[:at], ".")) {
			return awsRefused, ""
		}
		return awsS3, strings.Join(labels[at:], ".") + "." + suffix
	}
	return awsOther, ""
}

// serviceOf finds the label at which an endpoint's name begins, bucket labels before it.
func serviceOf(labels []string) (at int, kind awsKind) {
	last := len(labels) - 1
	if labels[last] == "vpce" {
		return privateLink(labels)
	}
	at = last
	regional := awsRegion.MatchString(labels[last]) && last > 0
	if regional {
		at--
	}
	if labels[at] == "dualstack" && at > 0 {
		at--
	}
	if kind = serviceKind(labels[at], regional); kind == awsOther && slices.Contains(labels[:at+1], "s3") && !strings.HasPrefix(labels[at], "s3-control") {
		kind = awsRefused // a region or a variant of a name that is not known here
	}
	return at, kind
}

// serviceKind judges the label that names a service; regional says that a region follows it.
func serviceKind(label string, regional bool) awsKind {
	if !strings.HasPrefix(label, "s3") {
		return awsOther
	}
	switch label {
	case "s3", "s3-fips", "s3-accelerate", "s3-external-1":
		return awsS3
	case "s3-control", "s3-control-fips": // settings of accounts, no objects
		return awsOther
	}
	region := strings.TrimPrefix(strings.TrimPrefix(label, "s3-"), "fips-")
	if !regional && region != label && awsRegion.MatchString(region) { // s3-eu-west-1, the older form
		return awsS3
	}
	return awsRefused
}

// privateLink reads bucket.vpce-….s3.<region>.vpce, the names of interface endpoints.
func privateLink(labels []string) (at int, kind awsKind) {
	service := len(labels) - 3
	if service < 0 || !strings.HasPrefix(labels[service], "s3") {
		return 0, awsOther
	}
	at = service - 2
	if labels[service] != "s3" || at < 0 || !strings.HasPrefix(labels[at+1], "vpce-") {
		return 0, awsRefused
	}
	switch labels[at] {
	case "bucket":
		return at, awsS3
	case "control":
		return 0, awsOther
	}
	return 0, awsRefused
}

// refusedBucket reports names that stand before an S3 endpoint and are no general purpose bucket: aliases of access points,
// Object Lambda, directory buckets, tables.
func refusedBucket(name string) bool {
	for _, suffix := range []string{"-s3alias", "--ol-s3", "--op-s3", "--x-s3", "--xa-s3", "--table-s3", ".mrap"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// regionOf is the region in an endpoint's name, empty for the names without.
func regionOf(domain string) string {
	for label := range strings.SplitSeq(domain, ".") {
		if region := strings.TrimPrefix(strings.TrimPrefix(label, "s3-"), "fips-"); awsRegion.MatchString(region) && !strings.HasPrefix(label, "vpce-") {
			return region
		}
	}
	return ""
}
