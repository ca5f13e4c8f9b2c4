package proxy

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
	"s3veil/proxy/policy"
	"s3veil/proxy/proxytest"
	"s3veil/proxy/s3op"
	"s3veil/proxy/sse"
)

// settingRig is a proxy with the keys main (of the configuration), team and other, of which a bucket may use the first two,
// and a clock that the test moves.
type settingRig struct {
	*fixture
	kms *kmstest.Memory

	mu    sync.Mutex
	ahead time.Duration
}

// balancer are the networks that may say that a request came over TLS.
var balancer = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

const settingName = ".s3veil/c/e/ZGF0YQ" // of the bucket data

func newSettingRig(t *testing.T, change func(*Settings)) *settingRig {
	r := &settingRig{kms: kmstest.NewMemory("main", "team", "other")}
	r.fixture = newFixture(t, func(set *Settings, o *Options) {
		set.KEKs, set.Families = nil, map[string][]string{}
		for _, id := range []string{"main", "team", "other"} {
			set.KEKs = append(set.KEKs, keycache.KEK{KID: id, Provider: r.kms, Name: id})
			set.Families[id] = []string{id}
		}
		set.Aliases = map[string]string{"alias/team": "team"}
		set.Buckets = []Bucket{{Name: "*", Key: "main", Keys: []string{"main", "team"}}}
		o.Now, o.Limits.ClockSkew = r.now, 48*time.Hour
		set.Cache.Tries, set.Cache.CallTimeout = 1, 100*time.Millisecond
		if change != nil {
			change(set)
		}
	})
	return r
}

// another is a second replica in front of the same store.
func (r *settingRig) another() *settingRig {
	r.t.Helper()
	set := r.s.state.Load().settings
	two := &settingRig{kms: r.kms}
	two.fixture = newFixture(r.t, func(s *Settings, o *Options) {
		*s = set
		o.Now, o.Limits.ClockSkew = r.now, 48*time.Hour
	})
	return two
}

func (r *settingRig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.ahead)
}

func (r *settingRig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead += d
}

// document is a configuration of one rule.
func document(algorithm, more string) []byte {
	return []byte("<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>" + algorithm +
		"</SSEAlgorithm>" + more + "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>")
}

func keyNamed(name string) string { return "<KMSMasterKeyID>" + name + "</KMSMasterKeyID>" }

func (r *settingRig) code(method, target string, body []byte, header ...string) string {
	r.t.Helper()
	resp, doc := r.do(method, target, body, header...)
	if resp.StatusCode < 300 {
		return fmt.Sprint(resp.StatusCode)
	}
	_, rest, _ := strings.Cut(string(doc), "<Code>")
	code, _, _ := strings.Cut(rest, "</Code>")
	return fmt.Sprint(resp.StatusCode, " ", code)
}

// kidOf writes an object and tells the key that it is under.
func (r *settingRig) kidOf(header ...string) string {
	r.t.Helper()
	r.must("PUT", "/data/probe", []byte("hello"), header...)
	return r.envelopeOf("data", "probe").KID
}

func TestDefaultEncryptionDecidesAboutNewObjects(t *testing.T) {
	r := newSettingRig(t, nil)
	if kid := r.kidOf(); kid != "main" {
		t.Fatal(kid)
	}
	resp, _ := r.must("PUT", "/data?encryption", document("aws:kms", keyNamed("alias/team")))
	if resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	if kid := r.kidOf(); kid != "team" {
		t.Errorf("without headers: %s", kid)
	}
	for _, method := range []string{"GET", "HEAD"} {
		resp, _ := r.must(method, "/data/probe", nil)
		if got := resp.Header.Get(sse.HeaderType) + " " + resp.Header.Get(sse.HeaderKeyID); got != "aws:kms team" {
			t.Errorf("%s says %q", method, got)
		}
	}
	if kid := r.kidOf(sse.HeaderType, "AES256"); kid != "main" {
		t.Errorf("an explicit AES256: %s", kid)
	}
	if kid := r.kidOf(sse.HeaderType, "aws:kms", sse.HeaderKeyID, "main"); kid != "main" {
		t.Errorf("an explicit key: %s", kid)
	}
	if kid := r.kidOf(sse.HeaderType, "aws:kms"); kid != "team" {
		t.Errorf("aws:kms without a name: %s", kid)
	}
	r.must("PUT", "/data/copy", nil, "x-amz-copy-source", "/data/probe")
	if kid := r.envelopeOf("data", "copy").KID; kid != "team" {
		t.Errorf("a copy: %s", kid)
	}
	id := uploadID(t, r.fixture, "/data/parts")
	resp, _ = r.must("PUT", "/data/parts?partNumber=1&uploadId="+id, []byte("part"))
	r.must("POST", "/data/parts?uploadId="+id, []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+resp.Header.Get("etag")+"</ETag></Part></CompleteMultipartUpload>"))
	if kid := r.envelopeOf("data", "parts").KID; kid != "team" {
		t.Errorf("an upload in parts: %s", kid)
	}
	if _, got := r.must("GET", "/data?encryption", nil); !bytes.Contains(got, []byte("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/team<")) {
		t.Errorf("%s", got)
	}
	if resp, _ := r.must("DELETE", "/data?encryption", nil); resp.StatusCode != 204 {
		t.Error(resp.Status)
	}
	if kid := r.kidOf(); kid != "main" {
		t.Errorf("after the deletion: %s", kid)
	}
	if _, there := r.store.Get("data", settingName); there {
		t.Error("the setting is still there")
	}
	r.idle()
	for _, action := range []string{"PutBucketEncryption", "DeleteBucketEncryption"} {
		found := 0
		for _, line := range r.audit.all() {
			if line.Action == action && line.Bucket == "data" && line.Client == "app" {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d audit lines of %s", found, action)
		}
	}
}

// uploadID begins an upload.
func uploadID(t *testing.T, f *fixture, target string) string {
	t.Helper()
	_, doc := f.must("POST", target+"?uploads", nil)
	_, rest, _ := strings.Cut(string(doc), "<UploadId>")
	id, _, ok := strings.Cut(rest, "</UploadId>")
	if !ok {
		t.Fatalf("%s", doc)
	}
	return id
}

// Nobody else may read, list or touch where the setting lies, and the store sees nothing of it.
func TestSettingLiesSealedUnderTheReservedPrefix(t *testing.T) {
	r := newSettingRig(t, nil)
	r.must("PUT", "/data?encryption", document("aws:kms", keyNamed("team")))
	o, there := r.store.Get("data", settingName)
	if !there || bytes.Contains(o.Data, []byte("team")) || r.envelopeOf("data", settingName).KID != "main" {
		t.Fatalf("stored: %v %q", there, o.Data)
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		if resp, _ := r.do(method, "/data/"+settingName, nil); resp.StatusCode != 403 {
			t.Errorf("%s: %s", method, resp.Status)
		}
	}
	if _, list := r.must("GET", "/data?list-type=2", nil); bytes.Contains(list, []byte("s3veil")) {
		t.Errorf("%s", list)
	}
}

func TestForgedAndMovedSettingsAreRefused(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) {
		set.Buckets[0].Realm = "shared" // the weakest case: one realm, objects bound to nothing
		set.Buckets[0].BindingWrite = envelope.BindNone
		set.Buckets[0].BindingRead = []envelope.Binding{envelope.BindKey, envelope.BindBucket, envelope.BindNone}
	})
	r.must("PUT", "/other", nil)
	r.must("PUT", "/other?encryption", document("aws:kms", keyNamed("team")))
	foreign, there := r.store.Get("other", ".s3veil/c/e/b3RoZXI")
	if !there {
		t.Fatal("no setting of the other bucket")
	}
	r.must("PUT", "/data/key", []byte("S3VC\x01\x01\x00\x01\x01"))
	object, _ := r.store.Get("data", "key")
	r.must("PUT", "/data?encryption", document("AES256", ""))
	own, _ := r.store.Get("data", settingName)
	flipped := *own
	flipped.Data = bytes.Clone(own.Data)
	flipped.Data[20] ^= 1
	for name, planted := range map[string]*proxytest.Object{"another bucket's": foreign, "an object": object, "changed": &flipped} {
		r.store.Put("data", settingName, *planted)
		r.pass(time.Minute)
		if got := r.code("PUT", "/data/x", nil); got != "422 ObjectIntegrityError" {
			t.Errorf("%s: a write is answered %s", name, got)
		}
		if got := r.code("GET", "/data?encryption", nil); got != "422 ObjectIntegrityError" {
			t.Errorf("%s: GetBucketEncryption is answered %s", name, got)
		}
	}
	r.must("PUT", "/data?encryption", document("AES256", "")) // the way out
	r.must("PUT", "/data/x", nil)
}

// The residual: the store can answer with an earlier default, or none. It never leads beyond the configuration.
func TestOldSettingsAreAcceptedWithinTheConfiguration(t *testing.T) {
	r := newSettingRig(t, nil)
	r.must("PUT", "/data?encryption", document("aws:kms", keyNamed("team")))
	old, _ := r.store.Get("data", settingName)
	r.must("PUT", "/data?encryption", document("aws:kms", keyNamed("main")))
	r.store.Put("data", settingName, *old)
	r.pass(defaultAge)
	if kid := r.kidOf(); kid != "team" {
		t.Fatalf("under %s", kid)
	}
	set := r.s.state.Load().settings
	set.Buckets = []Bucket{{Name: "*", Key: "main"}}
	if err := r.s.Reload(set); err != nil {
		t.Fatal(err)
	}
	r.pass(defaultAge)
	if got := r.code("PUT", "/data/x", nil); got != "403 AccessDenied" {
		t.Errorf("an old default under a key that the configuration no longer allows: %s", got)
	}
}

func TestBucketEncryptionRequestsThatAreRefused(t *testing.T) {
	r := newSettingRig(t, nil)
	for _, c := range []struct {
		what string
		doc  []byte
		want string
	}{
		{"nothing", nil, "400 MissingRequestBodyError"},
		{"not XML", []byte("x"), "400 MalformedXML"},
		{"unknown algorithm", document("DES", ""), "400 MalformedXML"},
		{"dual layer", document("aws:kms:dsse", ""), "501 NotImplemented"},
		{"key without KMS", document("AES256", keyNamed("team")), "400 InvalidArgument"},
		{"unknown key", document("aws:kms", keyNamed("nobody")), "400 KMS.NotFoundException"},
		{"key of other buckets", document("aws:kms", keyNamed("other")), "403 AccessDenied"},
		{"key name with spaces", document("aws:kms", keyNamed("a b")), "400 KMS.NotFoundException"},
		{"long key name", document("aws:kms", keyNamed(strings.Repeat("k", 3000))), "400 KMS.NotFoundException"},
	} {
		if got := r.code("PUT", "/data?encryption", c.doc); got != c.want {
			t.Errorf("%s: %s", c.what, got)
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if got := r.code(method, "/none?encryption", document("AES256", "")); got != "404 NoSuchBucket" {
			t.Errorf("%s of a bucket that is not there: %s", method, got)
		}
	}
	if _, there := r.store.Get("data", settingName); there {
		t.Error("something was written")
	}
}

func TestGetBucketEncryptionWithoutADefault(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) {
		set.Buckets = append([]Bucket{{Name: "silent", Key: "main", SSE: "none"}, {Name: "fixed", Key: "main", NoBucketEncryption: true}}, set.Buckets...)
	})
	for _, name := range []string{"silent", "fixed"} {
		r.must("PUT", "/"+name, nil)
	}
	if _, got := r.must("GET", "/data?encryption", nil); !bytes.Contains(got, []byte("<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false<")) {
		t.Errorf("%s", got)
	}
	if got := r.code("GET", "/silent?encryption", nil); got != "404 ServerSideEncryptionConfigurationNotFoundError" {
		t.Error(got)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if got := r.code(method, "/fixed?encryption", document("AES256", "")); got != "501 NotImplemented" {
			t.Errorf("%s where the configuration decides alone: %s", method, got)
		}
	}
	r.must("PUT", "/fixed/key", nil)
	for _, c := range r.store.Calls() {
		if strings.Contains(c.Target, "fixed/.s3veil") {
			t.Errorf("the store was asked %s %s", c.Method, c.Target)
		}
	}
}

func TestDefaultThatBlocksCustomersKeys(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) { set.TrustProxies = balancer })
	key := inTLS(customer(appKey))
	r.must("PUT", "/data/key", []byte("hello"), key...)
	doc := []byte(strings.Replace(string(document("AES256", "")), "</Rule>", "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>", 1))
	r.must("PUT", "/data?encryption", doc)
	if got := r.code("PUT", "/data/key", nil, key...); got != "403 AccessDenied" {
		t.Errorf("a write: %s", got)
	}
	if got := r.code("GET", "/data/key", nil, key...); got != "200" {
		t.Errorf("a read: %s", got)
	}
	if _, got := r.must("GET", "/data?encryption", nil); !bytes.Contains(got, []byte("<EncryptionType>SSE-C<")) {
		t.Errorf("%s", got)
	}
}

func TestDefaultEndsWithItsBucket(t *testing.T) {
	for name, reserved := range map[string]string{"in the bucket": "", "in a bucket of its own": "meta"} {
		r := newSettingRig(t, func(set *Settings) { set.Buckets[0].ReservedBucket = reserved })
		if reserved != "" {
			r.must("PUT", "/meta", nil)
		}
		r.must("PUT", "/data?encryption", document("aws:kms", keyNamed("team")))
		if got := r.code("DELETE", "/data", nil); got != "204" {
			t.Errorf("%s: DeleteBucket is answered %s", name, got)
		}
		r.must("PUT", "/data", nil)
		if kid := r.kidOf(); kid != "main" {
			t.Errorf("%s: the next bucket of this name writes under %s", name, kid)
		}
	}
}

func TestBucketEncryptionTakesAdmin(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) {
		set.Clients[0].Policy.Rules = []policy.Rule{{Buckets: []string{"*"}, Actions: []s3op.Class{s3op.Read, s3op.Write, s3op.Delete}}}
	})
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if got := r.code(method, "/data?encryption", document("AES256", "")); got != "403 AccessDenied" {
			t.Errorf("%s: %s", method, got)
		}
	}
	if n := len(r.store.Calls()); n != 0 {
		t.Errorf("%d requests to the store", n)
	}
}
