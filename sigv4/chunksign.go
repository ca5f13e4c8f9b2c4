package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
)

// emptySHA256 stands in the string to sign of every chunk for the hash of headers that chunks do not have.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// chunkSigner continues the chain of chunk signatures that the request's own signature seeds.
// Source: "Transferring Payload in Multiple Chunks" and "Including Trailing Headers".
type chunkSigner struct {
	key   *derivedKey
	stamp string
	prev  [2 * sha256.Size]byte
	buf   []byte
}

func newChunkSigner(key *derivedKey, stamp string, seed [2 * sha256.Size]byte) *chunkSigner {
	return &chunkSigner{key: key, stamp: stamp, prev: seed}
}

// chunk returns the hex signature of the next chunk, which digest is the SHA-256 of. It is valid until the next call.
func (c *chunkSigner) chunk(digest []byte) []byte {
	c.begin("AWS4-HMAC-SHA256-PAYLOAD\n")
	c.buf = append(c.buf, emptySHA256...)
	c.buf = append(c.buf, '\n')
	return c.finish(digest)
}

// trailer returns the signature of a trailer; digest is the SHA-256 of its lines "name:value\n".
func (c *chunkSigner) trailer(digest []byte) []byte {
	c.begin("AWS4-HMAC-SHA256-TRAILER\n")
	return c.finish(digest)
}

func (c *chunkSigner) begin(head string) {
	b := append(c.buf[:0], head...)
	b = append(b, c.stamp...)
	b = append(b, '\n')
	b = append(b, c.key.scope...)
	b = append(b, '\n')
	b = append(b, c.prev[:]...)
	c.buf = append(b, '\n')
}

func (c *chunkSigner) finish(digest []byte) []byte {
	c.buf = hex.AppendEncode(c.buf, digest)
	c.key.sign(&c.prev, c.buf)
	return c.prev[:]
}

// clone returns an independent signer at the same place in the chain, so that one Verified can be read more than once.
func (c *chunkSigner) clone() *chunkSigner { return newChunkSigner(c.key, c.stamp, c.prev) }
