package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"s3veil/cmd/s3veil/internal/devstore"
)

// The object that `s3veil dev` writes through the proxy, so that there is something to look at.
const (
	devBucket = "demo"
	devKey    = "hello.txt"
	devText   = "Hello! The store has never seen this sentence.\n"
)

// welcome writes a first object through the proxy and prints how to go on. The server is up whatever happens here.
func (d *devSetup) welcome(ctx context.Context, w io.Writer) {
	endpoint := "http://" + d.at.Listen
	fmt.Fprintf(w, `
s3veil dev: an encrypting S3 endpoint in front of an embedded store. Not for production.

  endpoint    %s
  access key  %s
  secret key  %s
  region      %s
  bucket      %s
  admin       http://%s  (/status /metrics /healthz /readyz)
  the store   %s  (access key %s, secret key %s)
  data        %s%s
  config      %s

Try in another terminal:

%s
`, endpoint, d.accessKey, d.secret.reveal(), devRegion, devBucket, d.at.Admin, d.store.Endpoint, devStoreKey,
		d.storeSecret.reveal(), d.dir, d.removal(), d.file(devConfig), d.commands(endpoint))
	if err := d.firstObject(ctx, endpoint); err != nil {
		fmt.Fprintf(w, "The first object could not be written: %s\n", err)
		return
	}
	d.showStored(w)
	fmt.Fprint(w, "\nCtrl-C ends it.\n")
}

func (d *devSetup) removal() string {
	if d.temporary {
		return "  (removed at the end; --data DIR keeps it)"
	}
	return ""
}

// commands are three to try: with the AWS command line where there is one, else with curl.
func (d *devSetup) commands(endpoint string) string {
	dump := "od -A x -t x1z -N 96 " + devstore.ObjectFile(d.dir, devBucket, "note.txt")
	if _, err := exec.LookPath("aws"); err == nil {
		return fmt.Sprintf(`  export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s AWS_REGION=%s AWS_ENDPOINT_URL=%s

  echo 'nobody else can read this' | aws s3 cp - s3://%s/note.txt
  aws s3 cp s3://%s/note.txt -
  %s
`, d.accessKey, d.secret.reveal(), devRegion, endpoint, devBucket, devBucket, dump)
	}
	url := endpoint + "/" + devBucket + "/note.txt"
	return fmt.Sprintf(`  S3='curl -sS --aws-sigv4 aws:amz:%s:s3 -u %s:%s -H x-amz-content-sha256:UNSIGNED-PAYLOAD'

  $S3 -X PUT -d 'nobody else can read this' %s
  $S3 %s
  %s
`, devRegion, d.accessKey, d.secret.reveal(), url, url, dump)
}

// firstObject makes the bucket and writes an object, both through the proxy.
func (d *devSetup) firstObject(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	url := endpoint + "/" + devBucket
	if err := d.put(ctx, url, nil, http.StatusConflict); err != nil { // it is there from an earlier start
		return err
	}
	return d.put(ctx, url+"/"+devKey, []byte(devText), http.StatusPreconditionFailed)
}

// put writes what is not there yet; exists is the status that says it is.
func (d *devSetup) put(ctx context.Context, url string, body []byte, exists int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	if body != nil {
		req.Header.Set("If-None-Match", "*")
	}
	cred := aws.Credentials{AccessKeyID: d.accessKey, SecretAccessKey: d.secret.reveal()}
	if err := v4.NewSigner().SignHTTP(ctx, cred, req, hash, "s3", devRegion, time.Now()); err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy of the environment
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK || resp.StatusCode == exists {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return fmt.Errorf("PUT %s: %s: %s", url, resp.Status, text)
}

// showStored prints the first bytes of what the store has of the first object.
func (d *devSetup) showStored(w io.Writer) {
	name := devstore.ObjectFile(d.dir, devBucket, devKey)
	stored, err := os.ReadFile(name)
	if err != nil {
		fmt.Fprintf(w, "What the store has cannot be read: %s\n", err)
		return
	}
	fmt.Fprintf(w, "s3://%s/%s reads %q (%d bytes) through s3veil.\nOn disk, %s has %d bytes:\n\n%s",
		devBucket, devKey, devText, len(devText), name, len(stored), hex.Dump(stored[:min(len(stored), 96)]))
	fmt.Fprintf(w, "\n`s3veil inspect --config %s s3://%s/%s` shows its envelope.\n", d.file(devConfig), devBucket, devKey)
}
