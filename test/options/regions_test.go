package options

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// elsewhere starts a store in a region of its own.
func elsewhere(t *testing.T, kind, region string) *servers.Store {
	t.Helper()
	s := &servers.Store{Kind: kind, AccessKey: unique("key"), SecretKey: unique("secret"), Dir: t.TempDir()}
	err := servers.RetryPorts(func() error {
		ports, err := servers.FreePorts(2)
		if err != nil {
			return err
		}
		s.Endpoint = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
		spec := servers.Spec{Name: kind, Log: filepath.Join(s.Dir, "log"), Path: os.Getenv(servers.MinIOVar),
			Args: []string{"server", "--quiet", "--address", fmt.Sprintf("127.0.0.1:%d", ports[0]), "--console-address", fmt.Sprintf("127.0.0.1:%d", ports[1]), filepath.Join(s.Dir, "data")},
			Env:  []string{"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey, "MINIO_REGION=" + region, "MINIO_UPDATE=off"}}
		if kind == servers.Versity {
			if spec.Path, err = servers.VersityProgram(); err != nil {
				return err
			}
			for _, sub := range []string{"data", "sidecar"} {
				if err := os.MkdirAll(filepath.Join(s.Dir, sub), 0o700); err != nil {
					return err
				}
			}
			spec.Env, spec.Args = nil, []string{"-a", s.AccessKey, "-s", s.SecretKey, "-p", fmt.Sprintf("127.0.0.1:%d", ports[0]), "-r", region, "-q", "posix",
				"--sidecar", filepath.Join(s.Dir, "sidecar"), filepath.Join(s.Dir, "data")}
		}
		p, err := servers.StartProcess(spec)
		if err != nil {
			return err
		}
		t.Cleanup(func() { p.Stop(5 * time.Second) })
		c := servers.NewClient(s.Endpoint, s.AccessKey, s.SecretKey, once, func(o *s3.Options) { o.Region = region })
		return p.Await(30*time.Second, func() error {
			_, err := c.ListBuckets(context.Background(), &s3.ListBucketsInput{})
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Over a store of another region clients of us-east-1, who name none, make buckets too, and those of any region that is let in.
func TestBucketsOverStoresOfOtherRegions(t *testing.T) {
	for _, kind := range kinds {
		if kind == servers.RGW { // has no region of its own
			continue
		}
		const region = "eu-central-1"
		cl := s3veil.MustStart(t, s3veil.Options{Store: elsewhere(t, kind, region), Configure: func(config map[string]any) {
			config["regions"], config["upstream"].(map[string]any)["region"] = []string{"*"}, region
		}})
		for _, from := range []string{"us-east-1", "ap-south-1", region} {
			c := cl.Client(once, func(o *s3.Options) { o.Region = from })
			in := &s3.CreateBucketInput{Bucket: aws.String(unique("r"))}
			if from != "us-east-1" {
				in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(from)}
			}
			if _, err := c.CreateBucket(context.Background(), in); err != nil {
				t.Errorf("%s, from %s: %v", kind, from, err)
				continue
			}
			out, err := c.GetBucketLocation(context.Background(), &s3.GetBucketLocationInput{Bucket: in.Bucket})
			if err != nil || string(out.LocationConstraint) != region {
				t.Errorf("%s, from %s: the bucket lies in %q: %v", kind, from, out.LocationConstraint, err)
			}
		}
		c := cl.Client(once, func(o *s3.Options) { o.Region = "us-east-1" })
		_, err := c.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: aws.String(unique("r")),
			CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "ap-south-1"}})
		if err == nil {
			t.Errorf("%s: a bucket in a third region was made here", kind)
		}
	}
}
