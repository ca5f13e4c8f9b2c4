package attack

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/crypto/envelope"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// customer is a client's own key as the SDK wants it.
type customer struct{ algorithm, key, sum *string }

func newCustomer(key string) customer {
	sum := md5.Sum([]byte(key))
	return customer{aws.String("AES256"), aws.String(base64.StdEncoding.EncodeToString([]byte(key))), aws.String(base64.StdEncoding.EncodeToString(sum[:]))}
}

var (
	mine   = newCustomer("an application's key of 32 bytes")
	theirs = newCustomer("another application's, 32 bytes!")
)

// newTLSScene is NewScene over https.
func newTLSScene(t *testing.T) *Scene {
	t.Helper()
	store := servers.MustShared(t, servers.Versity)
	veil := s3veil.MustStart(t, s3veil.Options{Store: store, TLS: true})
	c := veil.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	return &Scene{T: t, Ctx: context.Background(), Veil: veil, C: c, Store: store.Client(), Bucket: servers.NewBucket(t, c)}
}

// putWith stores an object under a customer's key.
func (s *Scene) putWith(key string, body []byte, c customer) {
	s.Helper()
	s.Put(key, body, func(in *s3.PutObjectInput) {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.sum
	})
}

// readWith reads an object with a customer's key; the zero key reads without.
func (s *Scene) readWith(key string, c customer) ([]byte, int) {
	s.Helper()
	out, err := s.C.GetObject(s.Ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key, SSECustomerAlgorithm: c.algorithm, SSECustomerKey: c.key, SSECustomerKeyMD5: c.sum})
	if err != nil {
		return nil, Status(err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		s.Errorf("%s: the body broke: %v", key, err)
	}
	return b, http.StatusOK
}

// rewrapped is an envelope with kid and wrapped key of another.
func (s *Scene) rewrapped(entry, other string) string {
	s.Helper()
	a, err := envelope.ParseText(entry)
	if err != nil {
		s.Fatal(err)
	}
	b, err := envelope.ParseText(other)
	if err != nil {
		s.Fatal(err)
	}
	h := b.Header()
	out, err := a.Rewrapped(h.KID, h.Wrapped)
	if err != nil {
		s.Fatal(err)
	}
	return out.Text()
}

// Row 26. The wrong key is refused and leaves nothing behind: the right one reads at once, whatever came before.
func TestWrongCustomerKeysAreRefused(t *testing.T) {
	s := newTLSScene(t)
	plain := suite.Data(100_000, 1)
	s.putWith("k", plain, mine)
	s.putWith("empty", nil, mine)
	for range 3 {
		for key, c := range map[string]customer{"k": theirs, "empty": theirs} {
			if _, status := s.readWith(key, c); status != http.StatusForbidden {
				t.Errorf("wrong key for %s: %d", key, status)
			}
			if _, status := s.readWith(key, customer{}); status != http.StatusBadRequest {
				t.Errorf("no key for %s: %d", key, status)
			}
		}
		if got, _ := s.readWith("k", mine); !bytes.Equal(got, plain) {
			t.Errorf("the right key reads %d bytes", len(got))
		}
	}
	s.Put("kms", plain)
	if _, status := s.readWith("kms", mine); status != http.StatusBadRequest {
		t.Errorf("a key for an object without: %d", status)
	}
}

// Rows 6 and 26. The store exchanges objects, envelopes and wrapped keys between those under customers' keys and under the
// KMS: nothing opens that was not written there.
func TestExchangesBetweenCustomerKeysAndTheKMSAreRefused(t *testing.T) {
	s := newTLSScene(t)
	bodies := map[string][]byte{"a": suite.Data(70_000, 1), "b": suite.Data(70_000, 2), "theirs": suite.Data(70_000, 3), "kms": suite.Data(70_000, 4)}
	s.putWith("a", bodies["a"], mine)
	s.putWith("b", bodies["b"], mine)
	s.putWith("theirs", bodies["theirs"], theirs)
	s.Put("kms", bodies["kms"])
	raws := map[string]Raw{}
	for key := range bodies {
		raws[key] = s.Load(key)
	}
	keys := map[string]customer{"mine": mine, "theirs": theirs, "none": {}}
	check := func(what, key string) {
		t.Helper()
		for name, c := range keys {
			if got, status := s.readWith(key, c); status == http.StatusOK {
				t.Errorf("%s at %s reads %d bytes with key %s", what, key, len(got), name)
			}
		}
		s.Plant(key, raws[key])
	}
	for from := range bodies {
		for to := range bodies {
			if from == to {
				continue
			}
			s.Plant(to, raws[from])
			check("object "+from, to)
			mixed := raws[to].clone()
			mixed.Meta[envelope.MetadataName] = raws[from].Meta[envelope.MetadataName]
			s.Plant(to, mixed)
			check("envelope of "+from, to)
			mixed = raws[to].clone()
			mixed.Meta[envelope.MetadataName] = s.rewrapped(raws[to].Meta[envelope.MetadataName], raws[from].Meta[envelope.MetadataName])
			s.Plant(to, mixed)
			check("wrapped key of "+from, to)
		}
	}
	if got, status := s.readWith("a", mine); status != http.StatusOK || !bytes.Equal(got, bodies["a"]) {
		t.Errorf("afterwards %d, %d bytes", status, len(got))
	}
}

// Row 32. The manifest of an upload under a customer's key that was completed without it is as good as any other.
func TestManifestsOfKeylessCompletesAreSealed(t *testing.T) {
	s := newTLSScene(t)
	complete := func(key string, bodies ...[]byte) {
		t.Helper()
		up, err := s.C.CreateMultipartUpload(s.Ctx, &s3.CreateMultipartUploadInput{Bucket: &s.Bucket, Key: &key,
			SSECustomerAlgorithm: mine.algorithm, SSECustomerKey: mine.key, SSECustomerKeyMD5: mine.sum})
		if err != nil {
			t.Fatal(err)
		}
		var parts []types.CompletedPart
		for i, b := range bodies {
			n := aws.Int32(int32(i + 1))
			out, err := s.C.UploadPart(s.Ctx, &s3.UploadPartInput{Bucket: &s.Bucket, Key: &key, UploadId: up.UploadId, PartNumber: n, Body: bytes.NewReader(b),
				SSECustomerAlgorithm: mine.algorithm, SSECustomerKey: mine.key, SSECustomerKeyMD5: mine.sum},
				func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, types.CompletedPart{PartNumber: n, ETag: out.ETag})
		}
		if _, err := s.C.CompleteMultipartUpload(s.Ctx, &s3.CompleteMultipartUploadInput{Bucket: &s.Bucket, Key: &key, UploadId: up.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}); err != nil {
			t.Fatal(err)
		}
	}
	first, second := suite.Data(5<<20, 1), suite.Data(100, 2)
	before := s.manifests()
	complete("k", first, second)
	names := fresh(s.manifests(), before)
	if len(names) != 1 {
		t.Fatalf("%d manifests", len(names))
	}
	whole, status := s.readWith("k", mine)
	if status != http.StatusOK || !bytes.Equal(whole, append(bytes.Clone(first), second...)) {
		t.Fatalf("%d, %d bytes", status, len(whole))
	}
	manifest := s.Load(names[0])
	complete("other", first, second)
	others := fresh(s.manifests(), append(before, names...))
	other := s.Load(others[0])
	for what, raw := range map[string]Raw{"changed": {Body: append(bytes.Clone(manifest.Body[:len(manifest.Body)-1]), manifest.Body[len(manifest.Body)-1]^1)},
		"of another upload": other, "cut": {Body: manifest.Body[:40]}} {
		s.restart()
		s.Plant(names[0], raw)
		if _, status := s.readWith("k", mine); status != http.StatusUnprocessableEntity {
			t.Errorf("manifest %s: %d", what, status)
		}
	}
	s.restart()
	s.Plant(names[0], manifest)
	if got, status := s.readWith("k", mine); status != http.StatusOK || len(got) != len(whole) {
		t.Errorf("afterwards %d, %d bytes", status, len(got))
	}
}

// fresh are the names of manifests that were not there before.
func fresh(now, before []string) (names []string) {
	for _, name := range now {
		if strings.HasPrefix(name, ".s3veil/m/") && !slices.Contains(before, name) {
			names = append(names, name)
		}
	}
	return names
}

// restart empties the caches.
func (s *Scene) restart() {
	s.Helper()
	r := s.Veil.Replicas[0]
	r.Stop()
	if err := r.Start(); err != nil {
		s.Fatal(err)
	}
}
