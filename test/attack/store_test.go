package attack

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// Row 2. Every header byte, every tag byte and a byte here and there of three packages are flipped in turn; the whole
// object and ranges inside the package are refused, ranges elsewhere still tell the truth or are refused.
func TestFlippedBytesAreRefused(t *testing.T) {
	s := NewScene(t, nil)
	plain := suite.Data(150_000, 1)
	s.Put("k", plain)
	raw := s.Load("k")
	var positions []int
	at := 0
	for _, p := range packages(raw.Body) {
		for i := range 16 {
			positions = append(positions, at+i, at+len(p)-16+i)
		}
		positions = append(positions, at+16, at+16+len(p)/2, at+len(p)-17)
		at += len(p)
	}
	for _, i := range positions {
		bad := raw.clone()
		bad.Body[i] ^= 1 << (i % 8)
		s.Plant("k", bad)
		what := fmt.Sprintf("byte %d flipped", i)
		s.Refused(what, "k", "", plain)
		first := i / 65_568 * 65_536
		s.Refused(what, "k", spec(first+5, first+10), plain[first+5:])
		other := (first + 65_536) % 131_072
		if got, err := s.Read("k", spec(other, other+99)); err == nil && !bytes.Equal(got, plain[other:other+100]) {
			t.Errorf("%s: a range elsewhere shows other bytes", what)
		}
	}
	if s.Metric("s3veil_integrity_failures_total") == "" {
		t.Error("integrity failures are not counted")
	}
}

// Rows 3 and 4, 12. Packages reordered, dropped, doubled; the stream cut and extended; version and cipher bytes changed.
func TestChangedStreamsAreRefused(t *testing.T) {
	s := NewScene(t, nil)
	plain := suite.Data(3*65_536+100, 1)
	s.Put("k", plain)
	s.Put("other", suite.Data(3*65_536+100, 2))
	raw, other := s.Load("k"), s.Load("other")
	p, q := packages(raw.Body), packages(other.Body)
	cases := map[string][]byte{
		"swapped":               join(p[1], p[0], p[2], p[3]),
		"swapped at the end":    join(p[0], p[1], p[3], p[2]),
		"front dropped":         join(p[1:]...),
		"middle dropped":        join(p[0], p[2], p[3]),
		"last dropped":          join(p[:3]...),
		"one doubled":           join(p[0], p[0], p[2], p[3]),
		"last doubled":          join(p[0], p[1], p[2], p[3], p[3]),
		"foreign package":       join(p[0], q[1], p[2], p[3]),
		"foreign stream":        other.Body,
		"foreign stream behind": join(raw.Body, other.Body),
		"itself behind":         join(raw.Body, raw.Body),
		"junk behind":           append(bytes.Clone(raw.Body), 0),
		"empty":                 nil,
	}
	at := 0
	for i, x := range p {
		at += len(x)
		for _, cut := range []int{at - 1, at, at + 1, at - 16} {
			if cut < len(raw.Body) {
				cases[fmt.Sprintf("cut at package %d, byte %d", i, cut)] = raw.Body[:cut]
			}
		}
	}
	version := bytes.Clone(raw.Body)
	version[0] = 0x10
	cases["DARE 1.0"] = version
	cipher := bytes.Clone(raw.Body)
	cipher[1] ^= 1
	cases["other cipher"] = cipher
	for what, body := range cases {
		bad := raw.clone()
		bad.Body = body
		s.Plant("k", bad)
		s.Refused(what, "k", "", plain)
		// A range may still be served from the packages that are whole, but never other bytes.
		tail := plain[len(plain)-50:]
		if got, err := s.Read("k", "bytes=-50"); err == nil && !bytes.Equal(got, tail) {
			t.Errorf("%s: the end shows other bytes", what)
		}
	}
}

// Row 5. Parts of a multipart object dropped, swapped, replaced by parts of another upload.
func TestChangedPartsAreRefused(t *testing.T) {
	s := NewScene(t, nil)
	const size = 5 << 20
	bodies := [][]byte{suite.Data(size, 1), suite.Data(size, 2), suite.Data(1000, 3)}
	plain := join(bodies...)
	s.Multipart("k", bodies...)
	s.Multipart("other", suite.Data(size, 4), suite.Data(size, 5), suite.Data(1000, 6))
	raw, other := s.Load("k"), s.Load("other")
	stored := size + size/65_536*32
	a, b, c := raw.Body[:stored], raw.Body[stored:2*stored], raw.Body[2*stored:]
	for what, body := range map[string][]byte{
		"swapped":       join(b, a, c),
		"first dropped": join(b, c),
		"last dropped":  join(a, b),
		"one doubled":   join(a, a, c),
		"foreign part":  join(a, other.Body[stored:2*stored], c),
	} {
		bad := raw.clone()
		bad.Body = body
		s.Plant("k", bad)
		s.Refused(what, "k", "", plain)
		s.Refused(what, "k", spec(size+10, size+20), plain[size+10:])
	}
}

// Row 6. An object copied behind s3veil's back to another name, or another bucket, does not open there.
func TestExchangedObjectsAreRefused(t *testing.T) {
	s := NewScene(t, nil)
	plain := suite.Data(1000, 1)
	s.Put("k", plain)
	s.Put("victim", suite.Data(1000, 2))
	raw := s.Load("k")
	s.Plant("victim", raw)
	s.RefusedAtOnce("another object's bytes", "victim")
	s.Plant("new name", raw)
	s.RefusedAtOnce("copied to a new name", "new name")
	first := s.Bucket
	s.Bucket = servers.NewBucket(t, s.C)
	s.Plant("k", raw)
	s.RefusedAtOnce("copied to another bucket", "k")
	s.Bucket = first
	if got, err := s.Read("k", ""); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("the original: %v", err)
	}
}

// Row 7. An older authentic version is accepted: the documented limit.
func TestRollbackIsAcceptedAsDocumented(t *testing.T) {
	s := NewScene(t, nil)
	old := suite.Data(1000, 1)
	s.Put("k", old)
	raw := s.Load("k")
	s.Put("k", suite.Data(1000, 2))
	s.Plant("k", raw)
	if got, err := s.Read("k", ""); err != nil || !bytes.Equal(got, old) {
		t.Errorf("%v", err)
	}
}

// Row 8. A plaintext object planted in the store is refused by GET, HEAD and as source of a copy.
func TestPlantedPlaintextIsRefused(t *testing.T) {
	s := NewScene(t, nil)
	s.Plant("k", Raw{Body: []byte("<script>"), ContentType: "text/html"})
	s.RefusedAtOnce("plaintext", "k")
	_, err := s.C.CopyObject(s.Ctx, &s3.CopyObjectInput{Bucket: &s.Bucket, Key: aws.String("copy"), CopySource: aws.String(s.Bucket + "/k")})
	if Status(err) != http.StatusUnprocessableEntity {
		t.Errorf("copy: %v", err)
	}
	if _, err := s.C.ListObjectsV2(s.Ctx, &s3.ListObjectsV2Input{Bucket: &s.Bucket}); err != nil {
		t.Errorf("a planted object breaks the listing: %v", err)
	}
}

// Row 9. The envelope removed, shortened, changed, doubled, or that of another object.
func TestChangedEnvelopesAreRefused(t *testing.T) {
	s := NewScene(t, nil)
	s.Put("k", suite.Data(1000, 1), func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"user": "value"} })
	s.Put("other", suite.Data(1000, 2))
	raw, other := s.Load("k"), s.Load("other")
	envelope := ""
	for name := range raw.Meta {
		if strings.HasPrefix(name, "s3veil") {
			envelope = name
		}
	}
	if envelope == "" {
		t.Fatalf("no envelope among %v", raw.Meta)
	}
	text := raw.Meta[envelope]
	for what, value := range map[string]string{
		"empty": "", "shortened": text[:len(text)-4], "lengthened": text + "AAAA", "of another object": other.Meta[envelope],
		"first byte": flip(text, 0), "middle byte": flip(text, len(text)/2), "last byte": flip(text, len(text)-2), "not base64": "!!!",
	} {
		bad := raw.clone()
		bad.Meta[envelope] = value
		if value == "" {
			delete(bad.Meta, envelope)
		}
		s.Plant("k", bad)
		s.RefusedAtOnce("envelope "+what, "k")
	}
}

// flip exchanges one base64 character.
func flip(s string, i int) string {
	c := byte('A')
	if s[i] == c {
		c = 'B'
	}
	return s[:i] + string(c) + s[i+1:]
}

// Row 10. A changed content type cannot run as a script in a browser, and with the policy fail it is refused.
func TestChangedMetadata(t *testing.T) {
	for policy, refused := range map[string]bool{"warn": false, "fail": true} {
		s := NewScene(t, func(config map[string]any) {
			config["buckets"] = []any{map[string]any{"name": "*", "key": "main", "metadata": map[string]any{"check": policy}}}
		})
		s.Put("k", []byte("text"), func(in *s3.PutObjectInput) { in.ContentType = aws.String("text/plain") })
		raw := s.Load("k")
		raw.ContentType = "text/html"
		s.Plant("k", raw)
		if refused {
			s.RefusedAtOnce("content type changed", "k")
			continue
		}
		if _, err := s.Read("k", ""); err != nil {
			t.Errorf("warn: %v", err)
		}
	}
}

// Row 32. The manifest of a multipart object deleted, exchanged or cut: the object is refused.
func TestChangedManifestsAreRefused(t *testing.T) {
	s := NewScene(t, nil)
	s.Multipart("k", suite.Data(5<<20+1, 1), suite.Data(1000, 2))
	plain := join(suite.Data(5<<20+1, 1), suite.Data(1000, 2))
	mine := s.manifests()
	s.Multipart("other", suite.Data(5<<20+1, 3), suite.Data(1000, 4))
	var foreign string
	for _, name := range s.manifests() {
		if name != mine[0] {
			foreign = name
		}
	}
	if len(mine) != 1 || foreign == "" {
		t.Fatalf("manifests: %q, other %q", mine, foreign)
	}
	good, bad := s.Load(mine[0]), s.Load(foreign)
	for what, r := range map[string]Raw{
		"of another object": bad,
		"cut":               {Body: good.Body[:len(good.Body)-1], Meta: good.Meta},
		"flipped":           {Body: append(bytes.Clone(good.Body[:len(good.Body)/2]), append([]byte{good.Body[len(good.Body)/2] ^ 1}, good.Body[len(good.Body)/2+1:]...)...), Meta: good.Meta},
		"empty":             {Meta: good.Meta},
		"oversize":          {Body: bytes.Repeat([]byte{7}, 8<<20), Meta: good.Meta},
	} {
		s.Plant(mine[0], r)
		s.refusedByAFreshReplica("manifest "+what, "k", plain)
	}
	if _, err := s.Store.DeleteObject(s.Ctx, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &mine[0]}); err != nil {
		t.Fatal(err)
	}
	s.refusedByAFreshReplica("manifest deleted", "k", plain)
	s.Plant(mine[0], good)
	if got, err := s.Read("k", ""); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("with its manifest again: %v", err)
	}
}

// refusedByAFreshReplica reads after a restart: what a replica has once authenticated it may keep.
func (s *Scene) refusedByAFreshReplica(what, key string, plain []byte) {
	s.Helper()
	s.Veil.Replicas[0].Kill()
	if err := s.Veil.Replicas[0].Start(); err != nil {
		s.Fatal(err)
	}
	s.Refused(what, key, "", plain)
}

// manifests lists the keys below the reserved prefix.
func (s *Scene) manifests() []string {
	s.Helper()
	out, err := s.Store.ListObjectsV2(s.Ctx, &s3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: aws.String(".s3veil/")})
	if err != nil {
		s.Fatal(err)
	}
	var keys []string
	for _, o := range out.Contents {
		if aws.ToInt64(o.Size) > 0 {
			keys = append(keys, *o.Key)
		}
	}
	return keys
}

// Row 15. A client with a narrow policy reaches neither other buckets, prefixes nor actions, in no spelling.
func TestPolicyIsEnforcedBeforeTheStore(t *testing.T) {
	s := NewScene(t, func(config map[string]any) {
		config["clients"] = append(config["clients"].([]any), map[string]any{"access_key": "narrow", "secret_key": "narrow-secret-0123456789",
			"buckets": []string{"t-*"}, "prefixes": []string{"mine/"}, "actions": []string{"read", "write"}})
	})
	s.Put("mine/a", []byte("a"))
	s.Put("secret", []byte("s"))
	narrow := servers.NewClient(s.Veil.Endpoint(), "narrow", "narrow-secret-0123456789", func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	get := func(key string) error {
		_, err := narrow.GetObject(s.Ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key})
		return err
	}
	if err := get("mine/a"); err != nil {
		t.Errorf("what is allowed: %v", err)
	}
	var denied = map[string]error{"other key": get("secret"), "dots": get("mine/../secret"), "case": get("Mine/a")}
	_, denied["list without prefix"] = narrow.ListObjectsV2(s.Ctx, &s3.ListObjectsV2Input{Bucket: &s.Bucket})
	_, denied["delete"] = narrow.DeleteObject(s.Ctx, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: aws.String("mine/a")})
	_, denied["bucket setting"] = narrow.GetBucketAcl(s.Ctx, &s3.GetBucketAclInput{Bucket: &s.Bucket})
	_, denied["create bucket"] = narrow.CreateBucket(s.Ctx, &s3.CreateBucketInput{Bucket: aws.String("t-narrow")})
	for what, source := range map[string]string{"plain": "/secret", "encoded": "%2Fsecret", "version": "/secret?versionId=null"} {
		_, denied["copy source "+what] = narrow.CopyObject(s.Ctx, &s3.CopyObjectInput{Bucket: &s.Bucket, Key: aws.String("mine/stolen"),
			CopySource: aws.String(s.Bucket + source)})
	}
	for what, err := range denied {
		if Status(err) != http.StatusForbidden && !(what == "dots" && Status(err) == http.StatusNotFound) {
			t.Errorf("%s: %v, want 403", what, err)
		}
	}
	out, err := narrow.DeleteObjects(s.Ctx, &s3.DeleteObjectsInput{Bucket: &s.Bucket,
		Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("secret")}, {Key: aws.String("mine/a")}}}})
	if err == nil && len(out.Errors) != 2 {
		t.Errorf("bulk delete: %d errors, want 2", len(out.Errors))
	}
	if got, err := s.Read("secret", ""); err != nil || string(got) != "s" {
		t.Errorf("secret afterwards: %v", err)
	}
}

// Row 28. All integrity failures look alike to the client.
func TestIntegrityFailuresLookAlike(t *testing.T) {
	s := NewScene(t, nil)
	s.Put("a", suite.Data(1000, 1))
	s.Put("b", suite.Data(1000, 2))
	raw := s.Load("a")
	flipped := raw.clone()
	flipped.Body[100] ^= 1
	s.Plant("flipped", flipped)
	s.Plant("moved", raw)
	s.Plant("plain", Raw{Body: []byte("x")})
	plantedFlip := raw.clone()
	plantedFlip.Body[100] ^= 1
	s.Plant("a", plantedFlip)
	texts := map[string]string{}
	for _, key := range []string{"a", "flipped", "moved"} {
		_, err := s.Read(key, "")
		if Status(err) != http.StatusUnprocessableEntity {
			t.Errorf("%s: %v", key, err)
			continue
		}
		text := err.Error()
		if i := strings.Index(text, "api error"); i >= 0 {
			text = text[i:]
		}
		texts[text] = key
	}
	if len(texts) != 1 {
		t.Errorf("different answers: %q", texts)
	}
}
