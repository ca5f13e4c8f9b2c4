package main

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// keyID is the form of a kid (FORMAT.md 3.3).
var keyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (l *loaded) checkKMS() {
	if len(l.KMS.Keys) == 0 {
		l.wrong("kms.keys", "missing: there is nothing to wrap with")
	}
	owner := map[string]string{}
	for i := range l.KMS.Keys {
		k, p := &l.KMS.Keys[i], index("kms.keys", i)
		switch {
		case k.ID == "":
			l.wrong(p+".id", "missing")
		case !keyID.MatchString(k.ID):
			l.wrong(p+".id", "%q is not 1 to 64 characters of A-Z a-z 0-9 . _ -", k.ID)
		}
		l.claim(owner, k.ID, p, p+".id")
		for j, a := range k.Aliases {
			if a == "" {
				l.wrong(index(p+".aliases", j), "must not be empty")
			}
			l.claim(owner, a, p, index(p+".aliases", j))
		}
		l.checkProvider(p, k)
	}
	if l.KMS.Outage.Read > Duration(24*time.Hour) {
		l.wrong("kms.outage.read", "must be at most 24h")
	}
	l.oneOf("kms.outage.write", l.KMS.Outage.Write, "refuse", "cached")
	if l.KMS.Outage.Write == "cached" && l.KMS.Outage.Read == 0 {
		l.wrong("kms.outage.write", "cached does nothing without kms.outage.read")
	}
	l.checkKeyCache()
}

func (l *loaded) checkKeyCache() {
	c := l.KMS.Cache
	between(l, "kms.cache.max_age", c.MaxAge, Duration(time.Second), Duration(15*time.Minute), "1s and 15m")
	between(l, "kms.cache.max_uses", c.MaxUses, 1, 1<<19, "1 and 524288")
	between(l, "kms.cache.max_bytes", c.MaxBytes, 1<<20, 1<<60, "1MiB and 1048576TiB")
	between(l, "kms.cache.entries", c.Entries, 1, 1<<20, "1 and 1048576")
}

// claim notes that name stands for the key at owner p.
func (l *loaded) claim(owner map[string]string, name, p, path string) {
	if name == "" {
		return
	}
	if other, taken := owner[name]; taken {
		l.wrong(path, "%q already stands for %s", name, other)
		return
	}
	owner[name] = p
}

func (l *loaded) checkBuckets() {
	if l.given("buckets") && len(l.Buckets) == 0 {
		l.wrong("buckets", "is empty: no bucket would exist")
	}
	list, _ := l.stores()
	var names []string
	for _, u := range list {
		names = append(names, u.Name)
	}
	for i := range l.Buckets {
		b, p := &l.Buckets[i], index("buckets", i)
		if !slices.Contains(names, b.Upstream) {
			l.wrong(p+".upstream", "there is no upstream %q", b.Upstream)
		}
		l.checkBucketNames(i, b, p)
		l.checkBucketKeys(b, p)
		l.checkBucketWords(b, p)
	}
}

func (l *loaded) checkBucketNames(i int, b *Bucket, p string) {
	if b.Name == "" {
		l.wrong(p+".name", "missing")
	} else if strings.Contains(b.Name, "/") {
		l.wrong(p+".name", "%q is not a bucket pattern", b.Name)
	}
	for j, earlier := range l.Buckets[:i] {
		if b.Name != "" && (earlier.Name == "*" || earlier.Name == b.Name) {
			l.wrong(p+".name", "never reached: buckets[%d] rules every bucket that %q fits", j, b.Name)
			break
		}
	}
	if n := strings.Count(b.StoreName, "*"); n > 1 {
		l.wrong(p+".store_name", "has more than one *")
	} else if n == 1 && !strings.Contains(b.Name, "*") {
		l.wrong(p+".store_name", "has a * but the name has none to carry over")
	} else if b.StoreName != "" && n == 0 && strings.ContainsAny(b.Name, "*?") {
		l.wrong(p+".store_name", "gives every bucket that %q fits one name", b.Name)
	}
	if len(b.Realm) > 255 {
		l.wrong(p+".realm", "is longer than 255 bytes")
	}
	for _, f := range []struct{ key, name string }{{"bound_name", b.BoundName}, {"reserved_bucket", b.ReservedBucket}} {
		if strings.ContainsAny(f.name, "/*?") {
			l.wrong(p+"."+f.key, "%q is not a bucket name", f.name)
		}
	}
}

func (l *loaded) checkBucketKeys(b *Bucket, p string) {
	known := func(id string) bool {
		return slices.ContainsFunc(l.KMS.Keys, func(k KMSKey) bool { return k.ID == id })
	}
	if b.Key != "" && !known(b.Key) {
		l.wrong(p+".key", "there is no key %q under kms.keys", b.Key)
	}
	for i, id := range b.Keys {
		if !known(id) {
			l.wrong(index(p+".keys", i), "there is no key %q under kms.keys", id)
		}
	}
	if len(b.Keys) > 0 && b.Key != "" && !slices.Contains(b.Keys, b.Key) {
		l.wrong(p+".keys", "does not contain key %q", b.Key)
	}
}

func (l *loaded) checkBucketWords(b *Bucket, p string) {
	l.oneOf(p+".plaintext", b.Plaintext, "reject", "allow")
	l.oneOf(p+".binding.write", b.Binding.Write, "key", "bucket", "none")
	for i, r := range b.Binding.Read {
		l.oneOf(index(p+".binding.read", i), r, "key", "bucket", "none")
	}
	reads := b.Binding.Read
	if len(reads) == 0 {
		reads = []string{"key"}
	}
	if !slices.Contains(reads, b.Binding.Write) {
		l.wrong(p+".binding.read", "does not accept what binding.write writes (%s)", b.Binding.Write)
	}
	l.oneOf(p+".metadata.check", b.Metadata.Check, "warn", "fail", "ignore")
	l.oneOf(p+".manifest.policy", b.Manifest.Policy, "strict", "degraded")
	l.oneOf(p+".listing", b.Listing, "arithmetic", "exact")
	l.oneOf(p+".upload_id", b.UploadID, "auto", "token", "state")
	l.oneOf(p+".verify", b.Verify, "stream", "full")
	l.oneOf(p+".sse", b.SSE, "AES256", "none")
	l.checkForeign(p+".foreign", &b.Foreign)
}
