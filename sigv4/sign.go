package sigv4

import (
	"crypto/sha256"
	"errors"
	"sort"
	"time"
)

// Signer signs requests to a store, with a cache of derived keys. Its zero value is ready. It is safe for concurrent use
// and must not be copied.
type Signer struct{ keys keyring }

// unsignedHeaders may be changed or dropped on the way to the store.
var unsignedHeaders = map[string]bool{
	hdrAuthorization: true, "accept-encoding": true, "connection": true, "expect": true, "keep-alive": true,
	"proxy-authorization": true, "proxy-connection": true, "te": true, "trailer": true, "transfer-encoding": true,
	"upgrade": true, "user-agent": true, "via": true, "x-amzn-trace-id": true, "x-forwarded-for": true,
	"x-forwarded-host": true, "x-forwarded-proto": true,
}

// errNoCredential is a mistake of the caller.
var errNoCredential = errors.New("sigv4: signing without credentials")

// Sign adds Authorization, X-Amz-Date and X-Amz-Security-Token to the request's headers and returns what chunk signatures
// continue from. payload is the value of x-amz-content-sha256, which is added too. All headers of r are signed except
// those that proxies may change. Headers of the same names are replaced, so a request can be signed again for a retry.
// The path is taken as it will stand on the wire and canonicalised once, as S3 does.
func (s *Signer) Sign(r *Request, cred Credential, region, service, payload string, now time.Time) (ChunkSeed, error) {
	if cred.AccessKey == "" || cred.Secret == "" {
		return ChunkSeed{}, errNoCredential
	}
	stamp := now.UTC().Format(stampLayout)
	r.set(hdrAmzDate, stamp)
	r.set(hdrAmzSHA256, payload)
	if cred.SessionToken != "" {
		r.set(hdrAmzToken, cred.SessionToken)
	} else {
		r.drop(hdrAmzToken)
	}
	w := scratches.Get().(*scratch)
	defer w.release()
	if err := w.query.parse(r.Query); err != nil {
		return ChunkSeed{}, err
	}
	w.setSignableNames(r.Header)
	if err := w.canonicalRequest(r, payload); err != nil {
		return ChunkSeed{}, err
	}
	id, key, cached := s.keys.get(cred, stamp[:len(dateLayout)], region, service)
	if !cached {
		s.keys.put(id, key)
	}
	key.sign(&w.sig, w.stringToSign(stamp, key.scope))
	r.set(hdrAuthorization, w.authorization(cred.AccessKey, key.scope))
	return ChunkSeed{chunkSigner{key: key, stamp: stamp, prev: w.sig}}, nil
}

// setSignableNames fills s.names with the names to sign, sorted, each once, host always.
func (s *scratch) setSignableNames(header []Field) {
	s.names = append(s.names[:0], hdrHost)
	for i := range header {
		if name := header[i].Name; name != hdrHost && !unsignedHeaders[name] {
			s.names = append(s.names, name)
		}
	}
	sort.Strings(s.names)
	n := 1
	for _, name := range s.names[1:] {
		if name != s.names[n-1] {
			s.names[n] = name
			n++
		}
	}
	s.names = s.names[:n]
}

func (s *scratch) authorization(accessKey, scope string) string {
	b := append(s.buf[:0], algorithm+" Credential="...)
	b = append(b, accessKey...)
	b = append(b, '/')
	b = append(b, scope...)
	b = append(b, ", SignedHeaders="...)
	for i, name := range s.names {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, ", Signature="...)
	s.buf = append(b, s.sig[:]...)
	return string(s.buf)
}

// set replaces or adds a header.
func (r *Request) set(name, value string) {
	for i := range r.Header {
		if r.Header[i].Name == name {
			r.Header[i].Value = value
			return
		}
	}
	r.Header = append(r.Header, Field{name, value})
}

// drop removes a header.
func (r *Request) drop(name string) {
	kept := r.Header[:0]
	for _, f := range r.Header {
		if f.Name != name {
			kept = append(kept, f)
		}
	}
	r.Header = kept
}

// ChunkSeed is a chain of chunk signatures for an outgoing body. It is used by one goroutine, from its original place:
// each body begins with a fresh one from Sign.
type ChunkSeed struct{ signer chunkSigner }

// Next returns the hex signature of the next chunk; an empty chunk ends the chain.
func (c *ChunkSeed) Next(chunk []byte) string {
	return c.NextSum(sha256.Sum256(chunk))
}

// NextSum is Next for a chunk whose SHA-256 is known.
func (c *ChunkSeed) NextSum(digest [sha256.Size]byte) string {
	return string(c.signer.chunk(digest[:]))
}

// Trailer returns the signature of trailer lines, each "name:value\n" in lower case, after the empty chunk.
func (c *ChunkSeed) Trailer(lines string) string {
	digest := sha256.Sum256([]byte(lines))
	return string(c.signer.trailer(digest[:]))
}

// SignedLen returns the length of aws-chunked framing of decoded bytes in signed chunks of size bytes: what Content-Length
// has to say. The sizes are in bytes and positive.
func SignedLen(decoded, size int64) int64 {
	n := decoded/size*chunkLen(size) + chunkLen(0)
	if rest := decoded % size; rest > 0 {
		n += chunkLen(rest)
	}
	return n
}

// chunkLen is the length of "size;chunk-signature=…\r\n", the data and "\r\n".
func chunkLen(size int64) int64 {
	digits := int64(1)
	for n := size; n > 15; n >>= 4 {
		digits++
	}
	return digits + int64(len(";chunk-signature=")+2*sha256.Size+len("\r\n")) + size + int64(len("\r\n"))
}
