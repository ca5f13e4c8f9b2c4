package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
	"s3veil/sigv4/checksum"
)

// Inspection is what can be said of a stored object. Nothing in it is a key.
type Inspection struct {
	Bucket      string `json:"bucket"`
	Key         string `json:"key"`
	VersionID   string `json:"version_id,omitempty"`
	StoreBucket string `json:"store_bucket"`
	ETag        string `json:"etag"` // the store's
	StoredSize  int64  `json:"stored_size"`
	Format      string `json:"format"` // "s3veil/1", "plaintext"; "unknown" for an s3veil entry that does not parse
	// PlaintextSize is exact where SizeProven says so, else by arithmetic from the stored size.
	PlaintextSize int64              `json:"plaintext_size"`
	SizeProven    bool               `json:"plaintext_size_proven"`
	Envelope      *InspectedEnvelope `json:"envelope,omitempty"`
	Sealed        *InspectedSealed   `json:"sealed,omitempty"`   // nil where the envelope could not be opened
	Manifest      *InspectedManifest `json:"manifest,omitempty"` // of multipart objects, nil where it could not be read
	Problems      []string           `json:"problems,omitempty"`
}

// InspectedEnvelope are the clear fields of an envelope (FORMAT.md 5.3).
type InspectedEnvelope struct {
	Suite      string            `json:"suite"`
	Kind       string            `json:"kind"`    // "single put" or "multipart"
	Binding    string            `json:"binding"` // level of FORMAT.md 5.5
	Padded     bool              `json:"padded"`
	SealedMeta bool              `json:"sealed_metadata"`
	KID        string            `json:"kid"`
	Wrapped    int               `json:"wrapped_bytes"` // length of the wrapped intermediate key
	Pairs      map[string]string `json:"encryption_context,omitempty"`
	Bytes      int               `json:"envelope_bytes"`
}

// InspectedSealed are the sealed attributes but the keys (FORMAT.md 5.4).
type InspectedSealed struct {
	ObjectID        string    `json:"object_id"`
	Created         time.Time `json:"created"`
	Length          *int64    `json:"length,omitempty"` // single PUT
	ContentMD5      string    `json:"content_md5,omitempty"`
	Checksum        string    `json:"checksum,omitempty"` // "CRC32C:hex"
	MetadataMatches bool      `json:"metadata_matches"`
	OtherTypes      []string  `json:"other_attributes,omitempty"`
}

// InspectedManifest is a manifest that fits (FORMAT.md 9.4).
type InspectedManifest struct {
	Parts       int        `json:"parts"`
	FirstPart   int        `json:"first_part"`
	LastPart    int        `json:"last_part"`
	RecordNonce bool       `json:"record_nonce"`
	Checksum    string     `json:"checksum,omitempty"`
	Repaired    *time.Time `json:"repaired,omitempty"`
}

// ErrNoObject reports that the store has no object of the name, or does not let it be seen.
var ErrNoObject = errors.New("proxy: no such object")

// toolName is what limits and logs call the tools of an operator, where a client's access key stands otherwise.
const toolName = "@operator"

// Inspect describes one object as a client names it; version may be empty. What is wrong with the object is in Problems;
// the error is for objects that cannot be looked at. The body is not read.
func (s *Server) Inspect(ctx context.Context, bucket, key, version string) (*Inspection, error) {
	x, err := s.operator(ctx, bucket, key, version)
	if err != nil {
		return nil, err
	}
	i, _, err := x.inspect()
	return i, err
}

// operator returns an exchange without a client behind it, for tools that work on one object.
func (s *Server) operator(ctx context.Context, bucketName, key, version string) (*exchange, error) {
	if s3op.Reserved(key) {
		return nil, fmt.Errorf("%w: %s lies under the reserved prefix", ErrNoObject, key)
	}
	x := &exchange{s: s, st: s.state.Load(), id: newRequestID(), start: s.now(), client: &client{name: toolName}, paired: ctx, strict: true}
	x.req = s3op.Request{Op: "HeadObject", Bucket: bucketName, Key: key}
	if version != "" {
		x.req.Query = []s3op.Param{{Name: "versionId", Value: version, HasValue: true}}
	}
	var err error
	x.bucket, err = x.st.bucket(bucketName)
	return x, err
}

// version is the query of a request for the version that an operator named.
func (x *exchange) version() []upstream.Param {
	if v, ok := x.req.Get("versionId"); ok {
		return []upstream.Param{{Name: "versionId", Value: v}}
	}
	return nil
}

// inspect asks for the head of the object and takes it apart as far as it goes. The object is nil, or its attributes are,
// where that is not far enough.
func (x *exchange) inspect() (*Inspection, *object, error) {
	resp, err := x.call(&upstream.Request{Op: "HeadObject", Method: "HEAD", Key: x.req.Key, Query: x.version(), Idempotent: true})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.Status == 404 || resp.Status == 405 { // 405 is a delete marker
		return nil, nil, fmt.Errorf("%w: s3://%s/%s", ErrNoObject, x.bucket.visible, x.req.Key)
	}
	if resp.Status != 200 {
		return nil, nil, x.storeError(resp)
	}
	o := &object{key: x.req.Key, etag: resp.Get("etag"), header: resp.Header}
	if o.stored, err = storedLength(resp); err != nil {
		return nil, nil, err
	}
	v, _ := x.req.Get("versionId")
	i := &Inspection{Bucket: x.bucket.visible, Key: x.req.Key, VersionID: v, StoreBucket: x.bucket.name, ETag: o.etag,
		StoredSize: o.stored, PlaintextSize: o.stored, SizeProven: true, Format: "plaintext"}
	if o.entry, err = classify(resp.Header); err != nil {
		i.Format = "unknown"
		i.problem(err)
		return i, nil, nil
	}
	if o.entry == "" {
		return i, nil, nil
	}
	i.open(x, o)
	return i, o, nil
}

func (i *Inspection) problem(err error) { i.Problems = append(i.Problems, err.Error()) }

// open takes the envelope apart, then its sealed part, then the manifest.
func (i *Inspection) open(x *exchange, o *object) {
	i.Format, i.PlaintextSize, i.SizeProven = "s3veil/1", size.Est(o.stored), false
	sealed, err := envelope.ParseText(o.entry)
	if err != nil {
		i.Format = "unknown"
		i.problem(err)
		return
	}
	i.Envelope = inspectEnvelope(sealed)
	if sealed.Header().KID == envelope.CustomerKID {
		i.problem(errors.New("encrypted under a customer's key (SSE-C): without it, nothing but the envelope can be read"))
		return
	}
	if err := x.openEnvelope(&x.bucket, o, nil); err != nil {
		o.attrs = nil
		i.problem(fmt.Errorf("the envelope does not open: %w", err))
		return
	}
	a := o.attrs
	i.Sealed = &InspectedSealed{ObjectID: hex.EncodeToString(a.ObjectID[:]), Created: time.Unix(a.Created, 0).UTC(), MetadataMatches: true}
	if a.ContentMD5 != nil {
		i.Sealed.ContentMD5 = hex.EncodeToString(a.ContentMD5[:])
	}
	i.Sealed.Checksum = inspectChecksum(a.Checksum)
	for _, t := range a.Extra {
		i.Sealed.OtherTypes = append(i.Sealed.OtherTypes, fmt.Sprintf("%02x", t.Type))
	}
	if err := envelope.CheckMetadata(a, shown(a, o.header)); err != nil {
		i.Sealed.MetadataMatches = false
		i.problem(err)
	}
	if o.head.Kind == envelope.SinglePut {
		i.Sealed.Length = &a.Length
	}
	if err := x.findTable(&x.bucket, o); err != nil {
		i.problem(err)
		return
	}
	i.PlaintextSize, i.SizeProven = o.content, true
	if o.manifest != nil {
		i.Manifest = inspectManifest(o.manifest)
	}
}

func inspectEnvelope(sealed *envelope.Sealed) *InspectedEnvelope {
	h := sealed.Header()
	kind := "single put"
	if h.Kind != envelope.SinglePut {
		kind = "multipart"
	}
	return &InspectedEnvelope{Suite: suiteName(h.Suite), Kind: kind, Binding: h.Binding.String(), Padded: h.Padded,
		SealedMeta: h.SealedMeta, KID: h.KID, Wrapped: len(h.Wrapped), Pairs: h.Pairs, Bytes: len(sealed.Bytes())}
}

func inspectManifest(m *manifest.Manifest) *InspectedManifest {
	out := &InspectedManifest{Parts: m.Table.Len(), FirstPart: m.Table.Part(0).Number, LastPart: m.Table.Part(m.Table.Len() - 1).Number,
		RecordNonce: m.PartR != nil, Checksum: inspectChecksum(m.Checksum)}
	if m.Repaired != 0 {
		t := time.Unix(m.Repaired, 0).UTC()
		out.Repaired = &t
	}
	return out
}

func inspectChecksum(c *envelope.Checksum) string {
	if c == nil {
		return ""
	}
	return checksum.Algorithm(c.Algorithm).String() + ":" + hex.EncodeToString(c.Value)
}

func suiteName(s stream.Suite) string {
	switch s {
	case stream.AES256GCM:
		return "1 (AES-256-GCM)"
	case stream.ChaCha20Poly1305:
		return "2 (ChaCha20-Poly1305)"
	}
	return fmt.Sprintf("%d (unknown)", byte(s))
}
