package options

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
	"s3veil/test/suite"
)

// What a client may do follows from its prefixes, actions, networks and session token.
func TestClientsAreConfined(t *testing.T) {
	const secret = "another-secret-0123456789-abcdefgh"
	bucket, ctx := unique("l"), context.Background()
	cl := cluster(t, func(config map[string]any) {
		one := func(name string, actions []string, more map[string]any) map[string]any {
			c := map[string]any{"access_key": name, "secret_key": secret, "buckets": []string{bucket}, "actions": actions}
			for k, v := range more {
				c[k] = v
			}
			return c
		}
		config["clients"] = append(config["clients"].([]any),
			one("reader", []string{"read"}, map[string]any{"prefixes": []string{"in/"}}),
			one("near", []string{"read"}, map[string]any{"sources": []string{"127.0.0.0/8"}}),
			one("far", []string{"read"}, map[string]any{"sources": []string{"192.0.2.0/24"}}),
			one("session", []string{"read"}, map[string]any{"session_token": "the-token"}))
	})
	c := cl.Client()
	create(t, c, bucket)
	body := []byte("body")
	put(t, c, bucket, "in/k", body)
	put(t, c, bucket, "out", body)
	as := func(name, token string) *s3.Client {
		return servers.NewClient(cl.Endpoint(), name, secret, func(o *s3.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(name, secret, token)
		})
	}
	reader := as("reader", "")
	holds(t, reader, bucket, "in/k", body)
	if _, err := get(reader, bucket, "out"); code(err) != "AccessDenied" {
		t.Errorf("outside the prefix: %v", err)
	}
	_, err := reader.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("in/k"), Body: bytes.NewReader(body)})
	if code(err) != "AccessDenied" {
		t.Errorf("a reader writes: %v", err)
	}
	for prefix, want := range map[string]string{"in/": "", "": "AccessDenied"} {
		if _, err := reader.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix}); code(err) != want {
			t.Errorf("LIST of %q: %v", prefix, err)
		}
	}
	holds(t, as("near", ""), bucket, "out", body)
	if _, err := get(as("far", ""), bucket, "out"); code(err) != "AccessDenied" {
		t.Errorf("from another network: %v", err)
	}
	holds(t, as("session", "the-token"), bucket, "out", body)
	for _, token := range []string{"", "another"} {
		if _, err := get(as("session", token), bucket, "out"); err == nil {
			t.Errorf("served with the session token %q", token)
		}
	}
}

// Unsigned requests do what the rules of an anonymous client open to them, and nothing else. A signature that is wrong does not
// count as none.
func TestAnonymousClients(t *testing.T) {
	public, private, ctx := unique("w"), unique("x"), context.Background()
	cl := cluster(t, func(config map[string]any) {
		config["clients"] = append(config["clients"].([]any), map[string]any{"anonymous": true, "rules": []any{
			map[string]any{"buckets": []string{public}, "prefixes": []string{"open/"}, "actions": []string{"read"}},
			map[string]any{"buckets": []string{public}, "prefixes": []string{"drop/"}, "actions": []string{"write"}},
		}})
	})
	c, body := cl.Client(), suite.Data(200_000, 1)
	create(t, c, public)
	create(t, c, private)
	put(t, c, public, "open/k", body)
	put(t, c, public, "closed", body)
	put(t, c, private, "open/k", body)
	parts := twoParts()
	complete(t, c, upload(t, c, public, "open/multi", parts...))

	nobody := cl.Client(once, func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} })
	holds(t, nobody, public, "open/k", body)
	holds(t, nobody, public, "open/multi", bytes.Join(parts, nil))
	put(t, nobody, public, "drop/k", body)
	holds(t, c, public, "drop/k", body)
	complete(t, nobody, upload(t, nobody, public, "drop/multi", parts...))
	holds(t, c, public, "drop/multi", bytes.Join(parts, nil))
	copyOf := func(source, key string) error {
		_, err := nobody.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &public, Key: &key, CopySource: &source})
		return err
	}
	list := func(bucket, prefix string) error {
		_, err := nobody.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
		return err
	}
	read := func(bucket, key string) error { _, err := get(nobody, bucket, key); return err }
	write := func(key string) error {
		_, err := nobody.PutObject(ctx, &s3.PutObjectInput{Bucket: &public, Key: &key, Body: bytes.NewReader(body)})
		return err
	}
	remove := func(key string) error {
		_, err := nobody.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &public, Key: &key})
		return err
	}
	override := func() error {
		_, err := nobody.GetObject(ctx, &s3.GetObjectInput{Bucket: &public, Key: aws.String("open/k"), ResponseContentType: aws.String("text/html")})
		return err
	}
	settings := func() error {
		_, err := nobody.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &public})
		return err
	}
	for what, v := range map[string]struct {
		err  error
		want string
	}{
		"a listing inside the prefix":  {list(public, "open/"), ""},
		"a listing of all":             {list(public, ""), "AccessDenied"},
		"a listing of another bucket":  {list(private, "open/"), "AccessDenied"},
		"outside the prefix":           {read(public, "closed"), "AccessDenied"},
		"what was dropped":             {read(public, "drop/k"), "AccessDenied"},
		"another bucket":               {read(private, "open/k"), "AccessDenied"},
		"a bucket that is not there":   {read("no-"+public, "open/k"), "AccessDenied"},
		"a write outside":              {write("open/k"), "AccessDenied"},
		"a write beside a path":        {write("drop/../open/k"), "AccessDenied"},
		"a write to reserved names":    {write(".s3veil/k"), "AccessDenied"},
		"a removal":                    {remove("drop/k"), "AccessDenied"},
		"a copy":                       {copyOf(public+"/open/k", "drop/copy"), "AccessDenied"}, // S3 wants a signature of every copy
		"a copy of what is not open":   {copyOf(public+"/closed", "drop/copy"), "AccessDenied"},
		"a copy from another bucket":   {copyOf(private+"/open/k", "drop/copy"), "AccessDenied"},
		"headers of the client's own":  {override(), "InvalidRequest"},
		"settings of the bucket":       {settings(), "AccessDenied"},
		"a signature of nobody":        {second(get(servers.NewClient(cl.Endpoint(), "nobody", "secret", once), public, "open/k")), "InvalidAccessKeyId"},
		"a signature that is not true": {second(get(servers.NewClient(cl.Endpoint(), cl.AccessKey, "secret", once), public, "open/k")), "SignatureDoesNotMatch"},
	} {
		if got := code(v.err); got != v.want {
			t.Errorf("%s: %q, want %q", what, got, v.want)
		}
	}
	if out, err := nobody.ListBuckets(ctx, &s3.ListBucketsInput{}); err != nil || len(out.Buckets) != 1 || *out.Buckets[0].Name != public {
		t.Errorf("ListBuckets: %+v, %v", out, err)
	}
	for _, key := range []string{"open/k", "closed"} {
		holds(t, c, public, key, body)
	}
}

func second[T any](_ T, err error) error { return err }

// A signature's region must be one of those that are accepted, or of the store where none are named.
func TestRegionsOfSignatures(t *testing.T) {
	ctx := context.Background()
	for _, v := range []struct {
		name    string
		regions []string
		good    []string
		bad     string
		told    string // the region that the error names
	}{
		{"left out", nil, []string{servers.Region}, "eu-west-1", servers.Region},
		{"several", []string{"eu-west-1", "eu-central-1"}, []string{"eu-west-1", "eu-central-1"}, servers.Region, "eu-west-1"},
		{"any", []string{"*"}, []string{"mars-north-7", servers.Region}, "", ""},
	} {
		t.Run(v.name, func(t *testing.T) {
			bucket := unique("h")
			cl := cluster(t, func(config map[string]any) {
				if v.regions != nil {
					config["regions"] = v.regions
				}
			})
			in := func(region string) *s3.Client { return cl.Client(once, func(o *s3.Options) { o.Region = region }) }
			create(t, cl.Store.Client(), bucket)
			for _, region := range v.good {
				put(t, in(region), bucket, region, []byte(region))
				holds(t, in(region), bucket, region, []byte(region))
				status, text := presigned(t, in(region), bucket, region)
				if status != 200 || text != region {
					t.Errorf("presigned in %s: %d %s", region, status, text)
				}
			}
			if v.bad == "" {
				return
			}
			_, err := in(v.bad).PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader([]byte("x"))})
			if code(err) != "AuthorizationHeaderMalformed" {
				t.Errorf("signed in %s: %v", v.bad, err)
			}
			status, text := presigned(t, in(v.bad), bucket, "k")
			if status != 400 || !strings.Contains(text, "<Code>AuthorizationQueryParametersError</Code>") || !strings.Contains(text, "<Region>"+v.told+"</Region>") {
				t.Errorf("presigned in %s: %d %s", v.bad, status, text)
			}
		})
	}
}

// presigned fetches an object by a presigned URL.
func presigned(t *testing.T, c *s3.Client, bucket, key string) (status int, text string) {
	t.Helper()
	u, err := s3.NewPresignClient(c).PresignGetObject(context.Background(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(u.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
