package manifest_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/manifest"
	"s3veil/crypto/vector"
)

// classOf names the class of FORMAT.md 12.
func classOf(err error) string {
	switch {
	case err == nil:
		return vector.Success
	case errors.Is(err, manifest.ErrMalformed):
		return "malformed"
	case errors.Is(err, manifest.ErrUnsupported):
		return "unsupported"
	case errors.Is(err, manifest.ErrManifest):
		return "manifest"
	}
	return err.Error()
}

func TestManifestVectors(t *testing.T) {
	list, err := vector.Load("../testdata/vectors", "manifest")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		t.Run(v.Name, func(t *testing.T) { runVector(t, v) })
	}
}

func runVector(t *testing.T, v *vector.Vector) {
	dek, id, level := kms.Key32(v.Key("dek")), envelope.ObjectID(v.Bytes("object-id")), envelope.Binding(v.Int("level")>>4)
	loc := envelope.Location{Realm: string(v.Bytes("realm")), Bucket: string(v.Bytes("bucket")), Key: string(v.Bytes("key"))}
	m, err := manifest.Open(v.Raw, &dek, id, level, loc)
	if got := classOf(err); got != v.Expect() {
		t.Fatalf("%s: %v, want %s", got, err, v.Expect())
	}
	if err != nil {
		return
	}
	if plain := hex.EncodeToString(manifest.EncodePlain(m)); plain != v.Text("plain") {
		t.Errorf("M is encoded again as %s", plain)
	}
	if digest := manifest.TableDigest(m.Table); hex.EncodeToString(digest[:]) != v.Text("table-digest") {
		t.Errorf("table digest %x", digest)
	}
	if int64(len(v.Raw)) != v.Int("length") {
		t.Errorf("%d bytes", len(v.Raw))
	}
	manifest.FixRandom(t, v.Bytes("salt"))
	again, err := manifest.Seal(m, &dek, id, level, loc)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, v.Raw) {
		t.Error("sealing what was opened gives other bytes")
	}
}
