package sse

import (
	"errors"
	"strings"
	"testing"

	"s3veil/proxy/s3err"
)

// FuzzParseWrite: whatever the headers say, there is an answer: a request that can be decided about, or an S3 error without
// the key in it.
func FuzzParseWrite(f *testing.F) {
	f.Fuzz(func(t *testing.T, present byte, method, id, context, flag, algorithm, key, sum string) {
		values := []struct{ name, value string }{{HeaderType, method}, {HeaderKeyID, id}, {HeaderContext, context}, {HeaderBucketKey, flag},
			{customerPrefix + "algorithm", algorithm}, {customerPrefix + "key", key}, {customerPrefix + "key-md5", sum}}
		h := func(name string) (string, bool) {
			for i, v := range values {
				if v.name == name && present&(1<<i) != 0 {
					return v.value, true
				}
			}
			return "", false
		}
		r, err := ParseWrite(h, true)
		if err != nil {
			var e s3err.Error
			if !errors.As(err, &e) || e.Status < 400 || e.Status > 501 {
				t.Fatalf("%v", err)
			}
			if present&0x70 != 0 && len(key) > 20 && !strings.Contains(method+algorithm, key) && strings.Contains(string(s3err.Body(e, "", "", "")), key) {
				t.Fatalf("the refusal quotes the key")
			}
			return
		}
		c, err := Choose(r, Default{}, Rules{Key: "main"}, testNames)
		if (r.Type == Customer) != (r.Customer != nil) || r.Type != KMS && (r.Context != nil || r.KeyName != "") {
			t.Fatalf("%+v", r)
		}
		if err != nil {
			return
		}
		for _, w := range []Where{Object, Made, Completed} {
			for _, field := range c.State("main", S3, testNames).Headers(w) {
				if strings.ContainsAny(field.Value, "\r\n") && !strings.ContainsAny(context+sum, "\r\n") {
					t.Fatalf("%q", field.Value)
				}
			}
		}
	})
}
