package s3op

import (
	"strings"
	"testing"

	"s3veil/proxy/s3err"
)

// FuzzRoute holds routing to its promises for any raw target: errors are S3 errors, a routed request is in the table, its
// key is the raw path decoded once and otherwise untouched, and nothing but mapped names goes upstream.
func FuzzRoute(f *testing.F) {
	f.Fuzz(func(t *testing.T, method, host, path, query string) {
		q, err := router.Route(method, host, path, query, headers())
		if err != nil {
			if s3err.From(err).Code == "InternalError" {
				t.Fatalf("not an S3 error: %v", err)
			}
			return
		}
		info, ok := Table[q.Op]
		if !ok || info.Treatment == Refuse {
			t.Fatalf("routed to %q", q.Op)
		}
		if info.Object && q.Key == "" || q.Op != ListBuckets && q.Bucket == "" {
			t.Fatalf("%s without a name: %+v", q.Op, q)
		}
		raw := strings.TrimPrefix(path, "/")
		if !q.VirtualHost {
			_, raw, _ = strings.Cut(raw, "/")
		}
		decoded, ok := Unescape(raw, false)
		if !ok || decoded != q.Key {
			t.Fatalf("path %q became key %q", path, q.Key)
		}
		if back, ok := Unescape(EscapePath(q.Key), false); !ok || back != q.Key {
			t.Fatalf("EscapePath(%q) = %q", q.Key, EscapePath(q.Key))
		}
		for _, p := range q.Forward() {
			if p.Name != q.Subresource && !listed(info.Query, p.Name) {
				t.Fatalf("%s forwards %q", q.Op, p.Name)
			}
		}
	})
}

func listed(list []string, name string) bool {
	for _, n := range list {
		if n == name {
			return true
		}
	}
	return false
}

// FuzzCopySource: what parses is a bucket and a key, and its canonical form parses to the same.
func FuzzCopySource(f *testing.F) {
	f.Fuzz(func(t *testing.T, value string) {
		c, err := ParseCopySource(value)
		if err != nil {
			if s3err.From(err).Code == "InternalError" {
				t.Fatalf("not an S3 error: %v", err)
			}
			return
		}
		again, err := ParseCopySource(c.String())
		if err != nil || again != c {
			t.Fatalf("%q: %+v, again %+v %v", value, c, again, err)
		}
	})
}

// FuzzReserved: a key that a cleaning store would put under the reserved prefix is reserved.
func FuzzReserved(f *testing.F) {
	f.Fuzz(func(t *testing.T, key string) {
		var clean []string
		for _, c := range strings.Split(key, "/") {
			switch c {
			case "", ".":
			case "..":
				if len(clean) > 0 {
					clean = clean[:len(clean)-1]
				}
			default:
				clean = append(clean, c)
			}
		}
		if len(clean) > 0 && clean[0] == ReservedName && !Reserved(key) {
			t.Fatalf("%q reaches the reserved prefix", key)
		}
		if strings.HasPrefix(key, ReservedName+"/") && !Reserved(key) {
			t.Fatalf("%q is not reserved as sent", key)
		}
	})
}
