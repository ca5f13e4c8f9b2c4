package sse

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/proxy/s3err"
)

// headers turns "name: value" lines into a Header. The short names stand for the long ones.
func headers(lines ...string) Header {
	m := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "type":
			name = HeaderType
		case "id":
			name = HeaderKeyID
		case "context":
			name = HeaderContext
		case "bucket-key":
			name = HeaderBucketKey
		case "algorithm", "key", "key-md5":
			name = customerPrefix + name
		case "source-algorithm", "source-key", "source-key-md5":
			name = sourcePrefix + strings.TrimPrefix(name, "source-")
		default:
			panic(name)
		}
		m[name] = strings.TrimPrefix(value, " ")
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func sum(s string) string { d := md5.Sum([]byte(s)); return b64(string(d[:])) }

const secret = "an application's key of 32 bytes"

// trio are the three headers of a key.
func trio(prefix, key string) []string {
	return []string{prefix + "algorithm: AES256", prefix + "key: " + b64(key), prefix + "key-md5: " + sum(key)}
}

// checkError compares code, status, message and the named argument.
func checkError(t *testing.T, name string, err error, code string, status int, message, argument, value string) {
	t.Helper()
	var e s3err.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v is no S3 error", name, err)
		return
	}
	got := map[string]string{}
	for _, f := range e.Fields {
		got[f.Name] = f.Value
	}
	if e.Code != code || e.Status != status || e.Message != message || got["ArgumentName"] != argument || got["ArgumentValue"] != value {
		t.Errorf("%s: %s %d %q %v", name, e.Code, e.Status, e.Message, e.Fields)
	}
}

func TestParseWrite(t *testing.T) {
	color := b64(`{"color":"red","team":"blue"}`)
	for _, c := range []struct {
		name  string
		lines []string
		want  Request
	}{
		{"nothing", nil, Request{}},
		{"SSE-S3", []string{"type: AES256"}, Request{Type: S3}},
		{"SSE-S3 ignores a bucket key", []string{"type: AES256", "bucket-key: true"}, Request{Type: S3, BucketKey: On}},
		{"a bucket key alone is for the default", []string{"bucket-key: false"}, Request{BucketKey: Off}},
		{"SSE-KMS", []string{"type: aws:kms"}, Request{Type: KMS}},
		{"SSE-KMS with everything", []string{"type: aws:kms", "id: alias/app", "context: " + color, "bucket-key: TRUE"},
			Request{Type: KMS, KeyName: "alias/app", Context: kms.Context{"color": "red", "team": "blue"}, BucketKey: On, context: color}},
		{"SSE-KMS with an empty context", []string{"type: aws:kms", "context: " + b64("{}")}, Request{Type: KMS, context: b64("{}")}},
		{"empty key id and context are none", []string{"type: AES256", "id:", "context:"}, Request{Type: S3}},
	} {
		got, err := ParseWrite(headers(c.lines...), false)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	got, err := ParseWrite(headers(trio("", secret)...), true)
	if err != nil || got.Type != Customer || string(got.Customer.key[:]) != secret || got.Customer.sum != sum(secret) {
		t.Errorf("SSE-C: %+v, %v", got, err)
	}
}

func TestParseWriteRefuses(t *testing.T) {
	const (
		argument = "InvalidArgument"
		request  = "InvalidRequest"
		alg      = "InvalidEncryptionAlgorithmError"
		supports = "The Encryption request you specified is not valid. Supported value: AES256."
	)
	customer := trio("", secret)
	short := "24 bytes are not enough!"
	for _, c := range []struct {
		name     string
		lines    []string
		code     string
		message  string
		argument string
		value    string
	}{
		{"another method", []string{"type: AES512"}, argument, textMethod, HeaderType, "AES512"},
		{"another spelling", []string{"type: aes256"}, argument, textMethod, HeaderType, "aes256"},
		{"repeated", []string{"type: AES256,AES256"}, argument, textMethod, HeaderType, "AES256,AES256"},
		{"empty method", []string{"type:"}, argument, textMethod, HeaderType, ""},
		{"method of another service", []string{"type: aws:fsx"}, argument, textMethod, HeaderType, "aws:fsx"},
		{"key id with AES256", []string{"type: AES256", "id: main"}, argument, textNeedsKMS, HeaderType, "AES256"},
		{"key id alone", []string{"id: main"}, argument, textNeedsKMS, HeaderType, "null"},
		{"context with AES256", []string{"type: AES256", "context: " + b64(`{"a":"b"}`)}, argument, textNeedsKMS, HeaderType, "AES256"},
		{"context is no base64", []string{"type: aws:kms", "context: {}"}, argument, textContext, HeaderContext, "{}"},
		{"context is no JSON", []string{"type: aws:kms", "context: " + b64("color=red")}, argument, textContext, HeaderContext, b64("color=red")},
		{"context is a list", []string{"type: aws:kms", "context: " + b64(`["a"]`)}, argument, textContext, HeaderContext, b64(`["a"]`)},
		{"context is nested", []string{"type: aws:kms", "context: " + b64(`{"a":{"b":"c"}}`)}, argument, textContext, HeaderContext, b64(`{"a":{"b":"c"}}`)},
		{"context holds a number", []string{"type: aws:kms", "context: " + b64(`{"a":1}`)}, argument, textContext, HeaderContext, b64(`{"a":1}`)},
		{"context with a reserved name", []string{"type: aws:kms", "context: " + b64(`{"realm":"x"}`)}, argument, textContext, HeaderContext, b64(`{"realm":"x"}`)},
		{"bucket key is no truth", []string{"type: aws:kms", "bucket-key: yes"}, argument, textFlag, HeaderBucketKey, "yes"},
		{"two methods", append([]string{"type: AES256"}, customer...), argument, textIncompatible, HeaderType, "AES256"},
		{"two methods, the second one incomplete", []string{"type: aws:kms", "key-md5: x"}, argument, textIncompatible, HeaderType, "aws:kms"},
		{"no algorithm", customer[1:], argument, textAlgorithm, HeaderType, "null"},
		{"another algorithm", append([]string{"algorithm: AES192"}, customer[1:]...), alg, supports, HeaderType, "AES192"},
		{"algorithm alone", customer[:1], argument, textNoKey, HeaderType, "null"},
		{"no key", []string{customer[0], customer[2]}, argument, textNoKey, HeaderType, "null"},
		{"no MD5", customer[:2], argument, textNoMD5, HeaderType, "null"},
		{"key is no base64", []string{customer[0], "key: ***", customer[2]}, argument, textKey, HeaderType, "null"},
		{"key repeated", []string{customer[0], "key: " + b64(secret) + "," + b64(secret), customer[2]}, argument, textKey, HeaderType, "null"},
		{"MD5 of another key", []string{customer[0], customer[1], "key-md5: " + sum("x")}, argument, textMD5, HeaderType, "null"},
		{"short key, MD5 of another", []string{customer[0], "key: " + b64(short), "key-md5: " + sum("x")}, argument, textMD5, HeaderType, "null"},
		{"short key", trio("", short), argument, textKey, HeaderType, "null"},
		{"long key", trio("", secret+"!"), argument, textKey, HeaderType, "null"},
		{"key encoded twice", trio("", b64(secret)), argument, textKey, HeaderType, "null"},
	} {
		got, err := ParseWrite(headers(c.lines...), true)
		checkError(t, c.name, err, c.code, 400, c.message, c.argument, c.value)
		if err != nil && strings.Contains(err.Error(), secret[:10]) || got.Customer != nil {
			t.Errorf("%s: the refusal holds the key", c.name)
		}
	}
	_, err := ParseWrite(headers("type: aws:kms:dsse"), true)
	checkError(t, "dual layer", err, "NotImplemented", 501, errDualLayer.Message, "", "")
	_, err = ParseWrite(headers("type: aws:kms", "id: "+strings.Repeat("x", 3000)), true)
	checkError(t, "endless key id", err, "KMS.NotFoundException", 400, "Invalid keyId '"+strings.Repeat("x", 2048)+"'", "", "")
}

func TestCustomerKeysNeedTLS(t *testing.T) {
	const insecure = "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection."
	for _, lines := range [][]string{trio("", secret), trio("", "short"), {"key-md5: x"}, {"algorithm:"}, {"type: AES256", "key: x"}, trio("source-", secret), {"source-key: x"}} {
		h := headers(lines...)
		_, write := ParseWrite(h, false)
		_, read := ParseCustomer(h, false)
		_, source := ParseSource(h, false)
		for name, err := range map[string]error{"write": write, "read": read, "source": source, "any": RefusePlain(h, false)} {
			checkError(t, name+" "+lines[0], err, "InvalidRequest", 400, insecure, "", "")
		}
	}
	if err := RefusePlain(headers("type: aws:kms"), false); err != nil {
		t.Errorf("SSE-KMS: %v", err)
	}
}

func TestParseCustomer(t *testing.T) {
	for name, c := range map[string]struct {
		prefix string
		parse  func(Header, bool) (*CustomerKey, error)
		other  string
	}{"own": {"", ParseCustomer, "source-"}, "source": {"source-", ParseSource, ""}} {
		if key, err := c.parse(headers(trio(c.other, secret)...), true); key != nil || err != nil {
			t.Errorf("%s: the other key: %v, %v", name, key, err)
		}
		key, err := c.parse(headers(trio(c.prefix, secret)...), true)
		if err != nil || key.bad || string(key.key[:]) != secret {
			t.Errorf("%s: %v", name, err)
		}
		key, err = c.parse(headers(trio(c.prefix, "short")...), true)
		if err != nil || !key.bad || key.key != (kms.Key32{}) {
			t.Errorf("%s: a short key is no mistake, but opens nothing: %v", name, err)
		}
		_, err = c.parse(headers(trio(c.prefix, secret)[1:]...), true)
		checkError(t, name, err, "InvalidArgument", 400, textAlgorithm, HeaderType, "null")
	}
}

func TestRefuseType(t *testing.T) {
	checkError(t, "KMS", RefuseType(headers("type: aws:kms")), "InvalidArgument", 400, textUnsupported, HeaderType, "aws:kms")
	if err := RefuseType(headers(trio("", secret)...)); err != nil {
		t.Errorf("SSE-C: %v", err)
	}
}
