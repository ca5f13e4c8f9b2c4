package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// settings let the store decide who may do what, as it does without s3veil: every request goes up under its own client's key,
// unsigned ones unsigned. Lists look at each object, and upload ids are the same in every answer.
func settings(store *servers.Store) func(map[string]any) {
	return func(config map[string]any) {
		up := config["upstream"].(map[string]any)
		up["credentials"], up["reserved_credentials"] = "client", up["credentials"]
		anybody := rights()
		anybody["anonymous"] = true
		config["clients"] = []any{user(store.AccessKey, store.SecretKey), anybody}
		bucket := config["buckets"].([]any)[0].(map[string]any)
		bucket["listing"], bucket["upload_id"] = "exact", "state"
	}
}

func rights() map[string]any {
	return map[string]any{"buckets": []string{"*"}, "actions": []string{"read", "write", "delete", "admin"}}
}

func user(access, secret string) map[string]any {
	u := rights()
	u["access_key"], u["secret_key"] = access, secret
	return u
}

// enrolment enters the users that the suite makes into s3veil's configuration.
type enrolment struct {
	*httptest.Server
	replica *s3veil.Replica
	mu      sync.Mutex
	known   map[string]bool
}

func newEnrolment(c *s3veil.Cluster) *enrolment {
	e := &enrolment{replica: c.Replicas[0], known: map[string]bool{}}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			access, secret, _ := strings.Cut(string(text), " ")
			err = e.add(access, secret)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	return e
}

// add writes the configuration with one client more and waits until s3veil has read it.
func (e *enrolment) add(access, secret string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known[access] {
		return nil
	}
	err := e.replica.Reconfigure(func(config map[string]any) {
		config["clients"] = append(config["clients"].([]any), user(access, secret))
	})
	if err != nil {
		return err
	}
	if err := syscall.Kill(e.replica.PID(), syscall.SIGHUP); err != nil {
		return err
	}
	client := servers.NewClient(e.replica.Endpoint, access, secret, func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, err := client.ListBuckets(context.Background(), &s3.ListBucketsInput{})
		var unknown smithy.APIError
		switch {
		case !errors.As(err, &unknown) || unknown.ErrorCode() != "InvalidAccessKeyId":
			e.known[access] = true
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%s is not known within 30 s", access)
		}
	}
}
