package options

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
	"s3veil/test/suite"
)

// Clients see their own names of buckets alone, wherever a name stands.
func TestMappedBucketNames(t *testing.T) {
	prefix := unique("m")
	cl := cluster(t, rules(map[string]any{"name": prefix + "-*", "store_name": "held-" + prefix + "-*-x"}))
	c, store, ctx := cl.Client(), cl.Store.Client(), context.Background()
	a, b := create(t, c, prefix+"-a"), create(t, c, prefix+"-b")
	body := suite.Data(100_000, 1)
	put(t, c, a, "k", body)
	copyTo(t, c, a+"/k", b, "copy")
	holds(t, c, b, "copy", body)
	if got := keys(t, store, "held-"+prefix+"-a-x"); !slices.Contains(got, "k") {
		t.Errorf("the store holds %v", got)
	}
	out, err := c.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range out.Buckets {
		if strings.Contains(*v.Name, prefix) {
			names = append(names, *v.Name)
		}
	}
	if !slices.Equal(names, []string{a, b}) {
		t.Errorf("ListBuckets shows %v", names)
	}
	parts := twoParts()
	done := complete(t, c, upload(t, c, a, "multi", parts...))
	holds(t, c, a, "multi", bytes.Join(parts, nil))
	if aws.ToString(done.Bucket) != a || strings.Contains(aws.ToString(done.Location), "held-") {
		t.Errorf("Complete names %s at %s", aws.ToString(done.Bucket), aws.ToString(done.Location))
	}
	list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &a})
	if err != nil || aws.ToString(list.Name) != a {
		t.Errorf("the listing is of %s: %v", aws.ToString(list.Name), err)
	}
	for _, key := range []string{"k", "multi"} {
		if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &a, Key: &key}); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &a}); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// Two stores behind one endpoint look like one.
func TestTwoStores(t *testing.T) {
	prefix, second := unique("u"), servers.MustStart(t, servers.VersityPlain)
	cl := cluster(t, func(config map[string]any) {
		config["upstreams"] = []any{map[string]any{"name": "second", "endpoint": second.Endpoint, "region": servers.Region,
			"credentials": map[string]any{"access_key": second.AccessKey, "secret_key": second.SecretKey}}}
		rules(map[string]any{"name": prefix + "-*2", "upstream": "second"})(config)
	})
	c, ctx := cl.Client(), context.Background()
	want := []string{prefix + "-a1", prefix + "-b2", prefix + "-c1", prefix + "-d2"}
	for _, name := range []string{want[3], want[0], want[2], want[1]} {
		create(t, c, name)
	}
	out, err := c.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range out.Buckets {
		if strings.HasPrefix(*v.Name, prefix) {
			names = append(names, *v.Name)
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("ListBuckets shows %v", names)
	}
	body, parts := suite.Data(3<<20, 3), twoParts()
	put(t, c, want[0], "k", body)
	complete(t, c, upload(t, c, want[0], "multi", parts...))
	for key, whole := range map[string][]byte{"k": body, "multi": bytes.Join(parts, nil)} {
		copyTo(t, c, want[0]+"/"+key, want[1], key)
		holds(t, c, want[1], key, whole)
		copyTo(t, c, want[1]+"/"+key, want[2], key)
		holds(t, c, want[2], key, whole)
	}
	if got := keys(t, second.Client(), want[1]); !slices.Contains(got, "k") {
		t.Errorf("the second store holds %v", got)
	}
}

// With a reserved bucket the bucket itself holds objects only.
func TestReservedBucket(t *testing.T) {
	prefix := unique("r")
	aside := create(t, servers.MustShared(t, servers.Versity).Client(), prefix+"-aside")
	cl := cluster(t, rules(map[string]any{"name": prefix + "-b", "reserved_bucket": aside}))
	c, store := cl.Client(), cl.Store.Client()
	bucket, parts := create(t, c, prefix+"-b"), twoParts()
	complete(t, c, upload(t, c, bucket, "multi", parts...))
	holds(t, c, bucket, "multi", bytes.Join(parts, nil))
	if got := keys(t, store, bucket); !slices.Equal(got, []string{"multi"}) {
		t.Errorf("the bucket holds %v", got)
	}
	held := keys(t, store, aside)
	if len(held) == 0 {
		t.Fatal("the reserved bucket is empty")
	}
	if got := keys(t, c, aside); len(got) != 0 {
		t.Errorf("a client is shown %v of the reserved bucket", got)
	}
	if _, err := get(c, aside, held[0]); code(err) != "AccessDenied" {
		t.Errorf("a client reads %s: %v", held[0], err)
	}
}
