package suite

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
)

var keyCases = []Case{
	{"Keys_behave_as_at_the_bare_store", keysOdd},
	{"Keys_ending_in_a_slash", keysSlash},
}

// OddKeys are keys that a proxy that cleans, decodes or merges would change.
var OddKeys = []string{"a//b", "a/../b", "./dot", "a/./b", "a+b", "a b", "a%b", "a%2Fb", "100%", "%", "ключ/鍵/🔑", "~tilde",
	"()*'!", "a?b", "a#b", "a&b=c", "a;b", "a:b@c", "a,b", `a"b`, "a<b>c", "a|b", "a\\b", "a=b", "$a", "[x]{y}^z`", "é", "e\u0301",
	strings.Repeat("k", 200), "x/" + strings.Repeat("y/", 40) + "z", ".hidden", "a/.hidden", "-", "_", "?versionId=1", "a\tb"}

// keysOdd stores each key through the target and through the bare store under it, in buckets of their own: whatever the
// store makes of a key, s3veil must not change it.
func keysOdd(e *Env) {
	store := e.Target.Store.Client()
	bare := servers.NewBucket(e, store)
	for i, key := range OddKeys {
		body := Data(100+i, uint64(i))
		want := e.tryKey(store, bare, key, body)
		got := e.tryKey(e.C, e.Bucket, key, body)
		if got != want {
			e.Errorf("%q: %s; the bare store: %s", key, got, want)
		}
	}
	e.sameListing(store, bare)
}

// sameListing checks that both buckets list the same keys and sizes.
func (e *Env) sameListing(store *s3.Client, bare string) {
	e.Helper()
	list := func(c *s3.Client, bucket string) string {
		out, err := c.ListObjectsV2(e.Ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
		e.Ok(err)
		var b strings.Builder
		for _, o := range out.Contents {
			fmt.Fprintf(&b, "%q %d\n", str(o.Key), num(o.Size))
		}
		return b.String()
	}
	want, got := list(store, bare), list(e.C, e.Bucket)
	if got != want {
		e.Errorf("listing:\n%s\nthe bare store's:\n%s", got, want)
	}
}

// tryKey stores and reads back one key and says what happened.
func (e *Env) tryKey(c *s3.Client, bucket, key string, body []byte) string {
	_, err := c.PutObject(e.Ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: reader(body)}, noRetry)
	var re *awshttp.ResponseError
	if errors.As(err, &re) {
		return "PUT " + http.StatusText(re.HTTPStatusCode())
	}
	if err != nil {
		return "PUT " + err.Error()
	}
	out, err := c.GetObject(e.Ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key}, noRetry)
	if errors.As(err, &re) {
		return "GET " + http.StatusText(re.HTTPStatusCode())
	}
	if err != nil {
		return "GET " + err.Error()
	}
	defer out.Body.Close()
	got := make([]byte, len(body)+1)
	n, _ := readFull(out.Body, got)
	if string(got[:n]) != string(body) {
		return "other bytes"
	}
	return "ok"
}

func readFull(r interface{ Read([]byte) (int, error) }, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := r.Read(b[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func keysSlash(e *Env) {
	e.Put("dir/", nil)
	head := e.Head("dir/")
	Equal(e, "size", num(head.ContentLength), 0)
	e.Put("dir/file", []byte("x"))
	out, err := e.C.ListObjectsV2(e.Ctx, &s3.ListObjectsV2Input{Bucket: &e.Bucket})
	e.Ok(err)
	Equal(e, "keys", names(out.Contents), "dir/ dir/file")
}
