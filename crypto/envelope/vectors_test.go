package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/vector"
)

const vectorRoot = "../testdata/vectors"

// classOf names the class of FORMAT.md 12.
func classOf(err error) string {
	if err == nil {
		return vector.Success
	}
	for name, class := range map[string]error{
		"malformed": envelope.ErrMalformed, "unsupported": envelope.ErrUnsupported, "commitment": envelope.ErrCommitment,
		"envelope": envelope.ErrEnvelope, "metadata": envelope.ErrMetadata, "token": envelope.ErrToken,
	} {
		if errors.Is(err, class) {
			return name
		}
	}
	return err.Error()
}

// eachVector runs the vectors of one kind.
func eachVector(t *testing.T, kind string, run func(*testing.T, *vector.Vector)) {
	t.Helper()
	list, err := vector.Load(vectorRoot, kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		t.Run(v.Name, func(t *testing.T) { run(t, v) })
	}
}

func vectorLocation(v *vector.Vector) envelope.Location {
	return envelope.Location{Realm: string(v.Bytes("realm")), Bucket: string(v.Bytes("bucket")), Key: string(v.Bytes("key"))}
}

var vectorKinds = map[string]envelope.Kind{"single": envelope.SinglePut, "multipart": envelope.Multipart, "token": envelope.Token}

// checkBox compares the attributes that every envelope has with the expected box plaintext; sealing again compares the rest.
func checkBox(t *testing.T, v *vector.Vector, a *envelope.Attributes) {
	t.Helper()
	tlvs := v.Bytes("tlvs")
	if !bytes.Equal(tlvs[3:35], a.DEK[:]) || !bytes.Equal(tlvs[38:54], a.ObjectID[:]) {
		t.Error("DEK or object id differ")
	}
}

func TestEnvelopeVectors(t *testing.T) {
	eachVector(t, "envelope", func(t *testing.T, v *vector.Vector) {
		kind, loc, bound := vectorKinds[v.Text("kind")], vectorLocation(v), kms.Key32(v.Key("bound"))
		s, err := envelope.ParseText(string(v.Raw))
		var a *envelope.Attributes
		if err == nil {
			if s.Text() != string(v.Raw) {
				t.Error("parsing and encoding changes the text")
			}
			if rewrapped, err := s.Rewrapped(s.Header().KID, s.Header().Wrapped); err != nil || !bytes.Equal(rewrapped.Bytes(), s.Bytes()) {
				t.Errorf("rewrapping with the same key changes the envelope (%v)", err)
			}
			a, err = s.Open(&bound, loc, kind)
		}
		if got := classOf(err); got != v.Expect() {
			t.Fatalf("%s: %v, want %s", got, err, v.Expect())
		}
		if err != nil {
			return
		}
		checkBox(t, v, a)
		if int64(len(s.Bytes())) != v.Int("length") {
			t.Errorf("%d bytes", len(s.Bytes()))
		}
		h := s.Header()
		h.Kind = kind
		if n := envelope.TextLen(h, a); n != len(v.Raw) {
			t.Errorf("TextLen is %d, the text has %d", n, len(v.Raw))
		}
		envelope.FixRandom(t, v.Bytes("salt"))
		if again := seal(t, h, &bound, loc, a); !bytes.Equal(again.Bytes(), s.Bytes()) {
			t.Error("sealing what was opened gives other bytes")
		}
	})
}

func TestTokenVectors(t *testing.T) {
	eachVector(t, "token", func(t *testing.T, v *vector.Vector) {
		loc, bound := vectorLocation(v), kms.Key32(v.Key("bound"))
		token, err := envelope.ParseToken(string(v.Raw))
		var a *envelope.Attributes
		if err == nil {
			if base64.RawURLEncoding.EncodeToString(token.Bytes()) != string(v.Raw) {
				t.Error("parsing and encoding changes the token")
			}
			a, err = token.Open(&bound, loc)
		}
		if got := classOf(err); got != v.Expect() {
			t.Fatalf("%s: %v, want %s", got, err, v.Expect())
		}
		if id, idErr := envelope.ParseUploadID(string(v.Raw)); err == nil && (idErr != nil || id.Form != envelope.FormToken) {
			t.Errorf("as an UploadId: %v", idErr)
		}
		if err != nil {
			return
		}
		checkBox(t, v, a)
		if hex.EncodeToString([]byte(token.UpstreamID)) != v.Text("upstream") || int64(len(token.Bytes())) != v.Int("length") {
			t.Errorf("upstream id %q, %d bytes", token.UpstreamID, len(token.Bytes()))
		}
		h := token.Envelope.Header()
		h.Kind = envelope.Token
		envelope.FixRandom(t, v.Bytes("salt"))
		if again := envelope.SealToken(token.UpstreamID, seal(t, h, &bound, loc, a), &a.DEK, loc); again != string(v.Raw) {
			t.Error("sealing what was opened gives another token")
		}
	})
}

func TestMetadataVectors(t *testing.T) {
	eachVector(t, "meta", func(t *testing.T, v *vector.Vector) {
		a := &envelope.Attributes{DEK: v.Key("dek"), MetaMAC: [32]byte(v.Raw)}
		var fields []envelope.Field
		for _, p := range v.Pairs("header") {
			fields = append(fields, envelope.Field{Name: p[0], Value: p[1]})
		}
		if got := classOf(envelope.CheckMetadata(a, fields)); got != v.Expect() {
			t.Errorf("%s, want %s; canonical fields %q", got, v.Expect(), envelope.CanonicalFields(fields))
		}
	})
}
