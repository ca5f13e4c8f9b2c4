//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/proxy"
)

// store is a client of the site's store itself.
func (s *site) store() *s3.Client {
	return s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.endpoint), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("store", "store-secret", "")})
}

// withInput runs a command line that reads its standard input.
func withInput(input string, args ...string) (code int, output string) {
	out := &lockedBuffer{}
	p := &program{stdin: strings.NewReader(input), stdout: out, stderr: out}
	return p.run(args), out.String()
}

func inspect(t *testing.T, config, object string) (int, proxy.Inspection) {
	t.Helper()
	code, out, errs := s3veil(nil, "inspect", "--json", "--config", config, object)
	var i proxy.Inspection
	if err := json.Unmarshal([]byte(out), &i); err != nil {
		t.Fatalf("%s: %v: %q %q", object, err, out, errs)
	}
	return code, i
}

func TestInspect(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	config := s.configure("buckets: [{name: '*', plaintext: allow}]", "one")
	r := begin(t, "serve", "--config", config)
	c := r.client("one", "secret-one")
	create(t, c, "box")
	if err := put(t.Context(), c, "box", "a b/ü.txt", "seventeen bytes.."); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), s.store(), "box", "plain", "seen by all"); err != nil {
		t.Fatal(err)
	}

	code, i := inspect(t, config, "s3://box/a b/ü.txt")
	switch {
	case code != exitOK || len(i.Problems) > 0:
		t.Errorf("exit code %d, problems %q", code, i.Problems)
	case i.Format != "s3veil/1" || i.PlaintextSize != 17 || !i.SizeProven || i.StoredSize != 17+32:
		t.Errorf("%+v", i)
	case i.Envelope.KID != "main" || i.Envelope.Kind != "single put" || i.Envelope.Binding != "key" || i.Envelope.Wrapped != 76:
		t.Errorf("envelope %+v", i.Envelope)
	case len(i.Sealed.ObjectID) != 32 || *i.Sealed.Length != 17 || !i.Sealed.MetadataMatches || i.Sealed.Created.IsZero():
		t.Errorf("sealed %+v", i.Sealed)
	}
	if code, i := inspect(t, config, "s3://box/plain"); code != exitOK || i.Format != "plaintext" || i.PlaintextSize != 11 || i.Envelope != nil {
		t.Errorf("exit code %d, %+v", code, i)
	}
	if code, out := withInput("", "inspect", "--config", config, "s3://box/a b/ü.txt"); code != exitOK || !strings.Contains(out, "AES-256-GCM") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	for _, missing := range []string{"s3://box/nothing", "s3://nobox/x", "s3://box/.s3veil/m/x"} {
		if code, out := withInput("", "inspect", "--config", config, missing); code != exitFailed || !strings.Contains(out, "no such object") {
			t.Errorf("%s: exit code %d: %s", missing, code, out)
		}
	}
	s.checkWithoutKey(t, config)
	s.checkMoved(t, config)
}

// checkWithoutKey inspects with another key file in place: the clear fields show, the sealed ones do not.
func (s *site) checkWithoutKey(t *testing.T, config string) {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	other := write(t, filepath.Join(s.dir, "other.yaml"), strings.ReplaceAll(string(text), "keys.json", "other.json"))
	if code, _, errs := s3veil(nil, "keys", "new", "--out", filepath.Join(s.dir, "other.json")); code != exitOK {
		t.Fatal(errs)
	}
	code, i := inspect(t, other, "s3://box/a b/ü.txt")
	if code != exitFailed || i.Envelope == nil || i.Envelope.KID != "main" || i.Sealed != nil || len(i.Problems) != 1 || i.SizeProven {
		t.Errorf("exit code %d, %+v", code, i)
	}
}

// checkMoved inspects an object that was copied behind the proxy's back.
func (s *site) checkMoved(t *testing.T, config string) {
	t.Helper()
	_, err := s.store().CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("box"), Key: aws.String("moved"),
		CopySource: aws.String("box/a%20b/%C3%BC.txt")})
	if err != nil {
		t.Fatal(err)
	}
	if code, i := inspect(t, config, "s3://box/moved"); code != exitFailed || len(i.Problems) == 0 || i.Sealed != nil {
		t.Errorf("moved: exit code %d, %+v", code, i)
	}
}

const partSize = 5 << 20

// multipart writes an object of three parts through the proxy and returns its content.
func multipart(t *testing.T, c *s3.Client, bucket, key string) []byte {
	t.Helper()
	ctx := t.Context()
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	var done []types.CompletedPart
	for _, p := range []struct {
		number int32
		size   int
	}{{1, partSize}, {2, partSize}, {4, 100}} {
		data := bytes.Repeat([]byte{byte('0' + p.number)}, p.size)
		out, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId,
			PartNumber: &p.number, Body: bytes.NewReader(data)})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
		done = append(done, types.CompletedPart{PartNumber: &p.number, ETag: out.ETag})
	}
	_, err = c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done}})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// dropManifests deletes or spoils every manifest of a bucket at the store.
func (s *site) dropManifests(t *testing.T, bucket string, spoil bool) {
	t.Helper()
	prefix := ".s3veil/m/"
	list, err := s.store().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	if err != nil || len(list.Contents) == 0 {
		t.Fatalf("%d manifests, %v", len(list.Contents), err)
	}
	for _, o := range list.Contents {
		if spoil {
			err = put(t.Context(), s.store(), bucket, *o.Key, "spoilt")
		} else {
			_, err = s.store().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: o.Key})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRepair(t *testing.T) {
	for _, spoil := range []bool{false, true} {
		t.Run(map[bool]string{false: "missing", true: "spoilt"}[spoil], func(t *testing.T) { repair(t, spoil) })
	}
}

func repair(t *testing.T, spoil bool) {
	s := newSite(t)
	s.secret("one", "secret-one")
	config := s.configure("", "one")
	r := begin(t, "serve", "--config", config)
	c := r.client("one", "secret-one")
	create(t, c, "box")
	content := multipart(t, c, "box", "large")
	if code, i := inspect(t, config, "s3://box/large"); code != exitOK || i.Manifest == nil || i.Manifest.Parts != 3 || i.Manifest.LastPart != 4 ||
		i.Manifest.Repaired != nil || i.PlaintextSize != int64(len(content)) {
		t.Errorf("before: exit code %d, %+v", code, i)
	}
	if code, out := withInput("", "repair", "--config", config, "s3://box/large"); code != exitOK || !strings.Contains(out, "nothing to repair") {
		t.Errorf("intact: exit code %d: %s", code, out)
	}
	r.end(t)

	s.dropManifests(t, "box", spoil)
	if code, i := inspect(t, config, "s3://box/large"); code != exitFailed || i.Manifest != nil || i.Sealed == nil || len(i.Problems) != 1 {
		t.Errorf("without a manifest: exit code %d, %+v", code, i)
	}
	for _, refusal := range []string{"", "n\n", "maybe\n"} {
		if code, out := withInput(refusal, "repair", "--config", config, "s3://box/large"); code != exitFailed || !strings.Contains(out, "nothing has been written") {
			t.Errorf("answer %q: exit code %d: %s", refusal, code, out)
		}
	}
	code, out := withInput("yes\n", "repair", "--config", config, "s3://box/large")
	for _, want := range []string{"parts 1 to 2: 5242880 bytes each", "part 4: 100 bytes", "the same number of parts", "reads again"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if code, i := inspect(t, config, "s3://box/large"); code != exitOK || i.Manifest == nil || i.Manifest.Repaired == nil {
		t.Errorf("after: exit code %d, %+v", code, i)
	}
	again := begin(t, "serve", "--config", config)
	if got, err := get(t.Context(), again.client("one", "secret-one"), "box", "large"); err != nil || got != string(content) {
		t.Errorf("after: %d bytes, %v", len(got), err)
	}
}

func TestReadsWithoutAManifest(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	writer := begin(t, "serve", "--config", s.configure("", "one"))
	c := writer.client("one", "secret-one")
	create(t, c, "box")
	content := string(multipart(t, c, "box", "large"))
	writer.end(t)
	const policy = "buckets: [{name: '*', manifest: {policy: degraded}}]"

	s.dropManifests(t, "box", true)
	spoilt := begin(t, "serve", "--config", s.configure(policy, "one"))
	if _, err := get(t.Context(), spoilt.client("one", "secret-one"), "box", "large"); err == nil || !strings.Contains(err.Error(), "ObjectIntegrityError") {
		t.Errorf("a spoilt manifest under the policy degraded: %v", err)
	}
	spoilt.end(t)

	s.dropManifests(t, "box", false)
	strict := begin(t, "serve", "--config", s.configure("", "one"))
	if _, err := get(t.Context(), strict.client("one", "secret-one"), "box", "large"); err == nil || !strings.Contains(err.Error(), "ObjectManifestMissing") {
		t.Errorf("strict: %v", err)
	}
	strict.end(t)

	degraded := begin(t, "serve", "--config", s.configure(policy, "one"))
	c = degraded.client("one", "secret-one")
	if got, err := get(t.Context(), c, "box", "large"); err != nil || got != content {
		t.Errorf("degraded: %d bytes, %v", len(got), err)
	}
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("box"), Key: aws.String("large"), PartNumber: aws.Int32(4)})
	if err != nil || *out.ContentLength != 100 || *out.PartsCount != 3 {
		t.Errorf("part 4: %+v, %v", out, err)
	}
	if _, metrics := degraded.adminGet(t, "/metrics"); !strings.Contains(metrics, `s3veil_integrity_failures_total{class="manifest-missing"} 2`) {
		t.Error("degraded reads are not counted")
	}
	if !strings.Contains(degraded.out.String(), `"class":"manifest-missing"`) {
		t.Error("degraded reads are not audited")
	}
	degraded.end(t)
}
