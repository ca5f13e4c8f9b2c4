package s3op

import (
	"net/netip"
	"strings"

	"s3veil/proxy/s3err"
)

// CheckBucket refuses what cannot be a bucket's name, and names of things that are not general purpose buckets. The form is
// the widest that S3 ever allowed (3–255 letters, digits, ".", "-", "_"); the store decides about the rest when a bucket is
// created.
func CheckBucket(name string) error {
	switch {
	case strings.HasPrefix(name, "arn:"):
		return s3err.Unimplemented("access point and other ARNs")
	case strings.HasSuffix(name, "--x-s3"):
		return s3err.Unimplemented("directory buckets")
	case strings.HasSuffix(name, "-s3alias"), strings.HasSuffix(name, "--ol-s3"), strings.HasSuffix(name, ".mrap"):
		return s3err.Unimplemented("access points")
	case strings.HasSuffix(name, "--table-s3"):
		return s3err.Unimplemented("table buckets")
	}
	if !IsBucketName(name) {
		return s3err.InvalidBucketName.Field("BucketName", name)
	}
	return nil
}

// IsBucketName reports whether name has the form of a bucket's, the widest that S3 ever allowed.
func IsBucketName(name string) bool {
	if len(name) < 3 || len(name) > 255 || strings.Contains(name, "..") {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '-' && c != '_') {
			return false
		}
	}
	return true
}

// hostBucket returns the bucket that host names under the longest domain that fits, false for path style: the domain itself,
// an IP address, or any other host.
func (r *Router) hostBucket(host string) (string, bool) {
	host = bareHost(host)
	if _, err := netip.ParseAddr(host); err == nil {
		return "", false
	}
	best := -1
	for _, d := range r.Domains {
		d = bareHost(d)
		switch {
		case d == "" || len(d) <= best:
		case host == d:
			best = len(d)
		case len(host) > len(d)+1 && strings.HasSuffix(host, d) && host[len(host)-len(d)-1] == '.':
			best = len(d)
		}
	}
	if best < 0 || best == len(host) {
		return "", false
	}
	return host[:len(host)-best-1], true
}

// bareHost strips port, brackets and a final dot, and lowers the case.
func bareHost(host string) string {
	if strings.HasPrefix(host, "[") {
		if end := strings.IndexByte(host, ']'); end > 0 {
			return strings.ToLower(host[1:end])
		}
		return strings.ToLower(host)
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Count(host, ":") == 1 {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
