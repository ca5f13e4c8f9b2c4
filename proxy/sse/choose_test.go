package sse

import (
	"reflect"
	"testing"

	"s3veil/crypto/kms"
)

const (
	arn      = "arn:aws:kms:eu-west-1:111122223333:key/0f2c"
	aliasARN = "arn:aws:kms:eu-west-1:111122223333:alias/team"
)

var testNames = NewNames(
	map[string][]string{"main": {"main.2", "main"}, "team": {"team"}, "other": {"other"}, arn: {"team"}},
	map[string]string{arn: "team", aliasARN: "team", "alias/app": "main"})

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"main": "main", "alias/app": "main", "team": "team", arn: "team", "0f2c": "team", aliasARN: "team", "alias/team": "team",
		"main.2": "", "alias/other": "", "": "", "MAIN": "", "arn:aws:kms:us-east-1:111122223333:key/0f2c": "", "key/0f2c": "",
	} {
		if got, ok := testNames.Resolve(name); got != want || ok != (want != "") {
			t.Errorf("%q is %q", name, got)
		}
	}
	for kid, want := range map[string]string{"main": "main", "main.2": "main", "team": arn, "gone": "gone"} {
		if got := testNames.Announced(kid); got != want {
			t.Errorf("%s is announced as %s", kid, got)
		}
	}
	twice := NewNames(map[string][]string{"a": {"a"}, "b": {"b"}, "0f2c": {"0f2c"}}, map[string]string{
		"arn:aws:kms:eu-west-1:1:key/mrk-1": "a", "arn:aws:kms:us-east-1:1:key/mrk-1": "b", "arn:aws:kms:us-east-1:1:key/0f2c": "a"})
	if id, ok := twice.Resolve("mrk-1"); ok {
		t.Errorf("a name that two ids claim is %s", id)
	}
	if id, _ := twice.Resolve("0f2c"); id != "0f2c" {
		t.Errorf("a configured id is overruled by the end of an ARN: %s", id)
	}
}

func TestChoose(t *testing.T) {
	rules := Rules{Key: "main", Keys: []string{"main", "team"}}
	customer := &CustomerKey{}
	pairs := kms.Context{"a": "b"}
	teamDefault := Default{Type: KMS, KeyName: arn, BucketKey: true}
	for _, c := range []struct {
		name string
		r    Request
		d    Default
		want Choice
	}{
		{"nothing", Request{}, Default{}, Choice{KeyID: "main"}},
		{"SSE-S3", Request{Type: S3}, teamDefault, Choice{Type: S3, KeyID: "main"}},
		{"SSE-KMS without a name", Request{Type: KMS}, Default{}, Choice{Type: KMS, KeyID: "main"}},
		{"SSE-KMS with one", Request{Type: KMS, KeyName: "0f2c", Context: pairs, context: "x"}, Default{}, Choice{Type: KMS, KeyID: "team", Context: pairs, context: "x"}},
		{"SSE-KMS with a bucket key", Request{Type: KMS, BucketKey: On}, Default{}, Choice{Type: KMS, KeyID: "main", BucketKey: true}},
		{"SSE-KMS with a key of its own", Request{Type: KMS, BucketKey: Off}, teamDefault, Choice{Type: KMS, KeyID: "team", OwnKey: true}},
		{"SSE-C", Request{Type: Customer, Customer: customer}, teamDefault, Choice{Type: Customer, Customer: customer}},
		{"default SSE-S3", Request{}, Default{Type: S3}, Choice{Type: S3, KeyID: "main"}},
		{"default SSE-KMS", Request{}, teamDefault, Choice{Type: KMS, KeyID: "team", BucketKey: true}},
		{"default SSE-KMS with the bucket's key", Request{}, Default{Type: KMS}, Choice{Type: KMS, KeyID: "main"}},
		{"default SSE-KMS, no bucket key for this one", Request{BucketKey: Off}, teamDefault, Choice{Type: KMS, KeyID: "team", OwnKey: true}},
		{"the default's key where the request names none", Request{Type: KMS}, teamDefault, Choice{Type: KMS, KeyID: "team", BucketKey: true}},
		{"the request's key before the default's", Request{Type: KMS, KeyName: "alias/app"}, teamDefault, Choice{Type: KMS, KeyID: "main", BucketKey: true}},
	} {
		got, err := Choose(c.r, c.d, rules, testNames)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestChooseRefuses(t *testing.T) {
	open := Rules{Key: "main", Keys: []string{"main", "team"}}
	const denied = "Access Denied."
	for _, c := range []struct {
		name    string
		r       Request
		d       Default
		rules   Rules
		code    string
		status  int
		message string
	}{
		{"unknown id", Request{Type: KMS, KeyName: "nobody"}, Default{}, open, "KMS.NotFoundException", 400, "Invalid keyId 'nobody'"},
		{"unknown ARN", Request{Type: KMS, KeyName: "arn:aws:kms:x:1:key/2"}, Default{}, open, "KMS.NotFoundException", 400, "Key 'arn:aws:kms:x:1:key/2' does not exist"},
		{"unknown alias", Request{Type: KMS, KeyName: "alias/x"}, Default{}, open, "KMS.NotFoundException", 400, "Alias alias/x is not found."},
		{"unknown default", Request{}, Default{Type: KMS, KeyName: "nobody"}, open, "KMS.NotFoundException", 400, "Invalid keyId 'nobody'"},
		{"another bucket's key", Request{Type: KMS, KeyName: "other"}, Default{}, open, "AccessDenied", 403, denied},
		{"another bucket's default", Request{}, Default{Type: KMS, KeyName: "other"}, open, "AccessDenied", 403, denied},
		{"no list is the one key", Request{Type: KMS, KeyName: "team"}, Default{}, Rules{Key: "main"}, "AccessDenied", 403, denied},
		{"nothing where something is demanded", Request{}, Default{Type: S3}, Rules{Key: "main", Require: true}, "AccessDenied", 403, denied},
		{"blocked SSE-C", Request{Type: Customer, Customer: &CustomerKey{}}, Default{BlockCustomer: true}, open, "AccessDenied", 403, errBlocked.Message},
	} {
		_, err := Choose(c.r, c.d, c.rules, testNames)
		checkError(t, c.name, err, c.code, c.status, c.message, "", "")
	}
	for _, typ := range []Type{S3, KMS, Customer} {
		if _, err := Choose(Request{Type: typ}, Default{}, Rules{Key: "main", Require: true}, testNames); err != nil {
			t.Errorf("%s names an encryption: %v", typ, err)
		}
	}
}

func TestAnswersAreTheSameAtWritingAndLater(t *testing.T) {
	key := customerKey(t, secret)
	kmsFields := []Field{{HeaderType, "aws:kms"}, {HeaderKeyID, arn}}
	withBucketKey := append(kmsFields[:2:2], Field{HeaderBucketKey, "true"})
	withContext := append(withBucketKey[:3:3], Field{HeaderContext, "eyJ9"})
	customer := []Field{{"x-amz-server-side-encryption-customer-algorithm", "AES256"}, {"x-amz-server-side-encryption-customer-key-MD5", sum(secret)}}
	s3 := []Field{{HeaderType, "AES256"}}
	for _, c := range []struct {
		name                  string
		choice                Choice
		kid                   string
		announced             Type
		made, object, written []Field
	}{
		{"nothing, announced", Choice{KeyID: "main"}, "main", S3, s3, s3, s3},
		{"nothing", Choice{KeyID: "main"}, "main", None, nil, nil, nil},
		{"SSE-S3", Choice{Type: S3}, "main", None, s3, s3, s3},
		{"SSE-KMS", Choice{Type: KMS}, "team", S3, kmsFields, kmsFields, kmsFields},
		{"SSE-KMS with everything", Choice{Type: KMS, BucketKey: true, context: "eyJ9"}, "team", S3, withContext, withBucketKey, withBucketKey},
		{"SSE-C", Choice{Type: Customer, Customer: key}, "@sse-c", S3, customer, customer, nil},
	} {
		state := c.choice.State(c.kid, c.announced, testNames)
		later := StateOf(c.kid, c.choice.Asked(), c.choice.Customer, c.announced, testNames)
		for name, pair := range map[string][2][]Field{
			"made": {state.Headers(Made), c.made}, "object": {later.Headers(Object), c.object}, "completed": {later.Headers(Completed), c.written},
			"form": {state.Headers(Object), c.object},
		} {
			if !reflect.DeepEqual(pair[0], pair[1]) {
				t.Errorf("%s, %s: %v", c.name, name, pair[0])
			}
		}
	}
	for _, asked := range []byte{0x00, 0x03, 0x7f} { // nothing, and what a later version may write
		if got := StateOf("main", &asked, nil, S3, testNames); got.Type != S3 {
			t.Errorf("TLV 80 of %02x: %v", asked, got.Type)
		}
	}
}

func TestTypeNamesForAuditLines(t *testing.T) {
	for typ, want := range map[Type]string{None: "", S3: "AES256", KMS: "aws:kms", Customer: "SSE-C"} {
		if typ.String() != want {
			t.Errorf("%d is %q", typ, typ)
		}
	}
}
