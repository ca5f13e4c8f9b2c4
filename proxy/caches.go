package proxy

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
)

// caches hold what is immutable under its key, so that they can never serve anything stale: manifests by object id, sizes
// of listed objects by (bucket, key, ETag).
type caches struct {
	manifests *lru.Cache[envelope.ObjectID, *manifest.Manifest]
	walked    *lru.Cache[envelope.ObjectID, *size.Table] // found by walks; for buckets of the policy degraded alone
	sizes     *lru.Cache[sizeKey, listedSize]
	defaults  *lru.Cache[defaultName, knownDefault] // not immutable: believed for seconds
}

// sizeKey names one immutable state of an object.
type sizeKey struct{ store, bucket, key, etag string }

// listedSize is what a listing shows of an object in a bucket that may hold plaintext.
type listedSize struct {
	sealed, known bool
	denied        bool  // a HEAD, perhaps to this client alone: nothing is known
	content       int64 // with known: what arithmetic does not tell
	// algorithm and kind are those of the checksum kept with the object, as listings show them, empty for none.
	algorithm, kind string
}

// The bounds of the caches, in entries. A manifest of 10,000 uneven parts takes about 400 KiB, a usual one less than 1 KiB.
const (
	manifestEntries = 1024
	sizeEntries     = 50000
	defaultEntries  = 10000
)

func newCaches() *caches {
	m, _ := lru.New[envelope.ObjectID, *manifest.Manifest](manifestEntries)
	w, _ := lru.New[envelope.ObjectID, *size.Table](manifestEntries)
	z, _ := lru.New[sizeKey, listedSize](sizeEntries)
	d, _ := lru.New[defaultName, knownDefault](defaultEntries)
	return &caches{manifests: m, walked: w, sizes: z, defaults: d}
}
