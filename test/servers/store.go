package servers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// The kinds of stores.
const (
	Versity = "versitygw"
	// VersityPlain is versitygw without a directory for versions.
	VersityPlain = "versitygw-plain"
	RGW          = "rgw"
	MinIO        = "minio"
)

// Region is the region of every store.
const Region = "us-east-1"

// Store is a running S3 store.
type Store struct {
	Kind      string
	Endpoint  string // http://127.0.0.1:port
	AccessKey string
	SecretKey string
	// Dir holds everything the store writes: objects, metadata, versions, logs. A memory-only store has its logs there.
	Dir string
	// Persistent reports whether objects lie in Dir.
	Persistent bool

	procs []*Process // in order of start
}

// Start starts a store of the given kind with an own temporary directory.
func Start(kind string) (*Store, error) {
	switch kind {
	case Versity:
		return startVersity(true)
	case VersityPlain:
		return startVersity(false)
	case RGW:
		return startRGW()
	case MinIO:
		return startMinIO()
	}
	return nil, fmt.Errorf("servers: unknown store %q", kind)
}

// Stop ends the store's processes in reverse order and removes its directory.
func (s *Store) Stop() {
	s.halt()
	os.RemoveAll(s.Dir)
}

// Keep ends the store's processes and leaves its directory for inspection.
func (s *Store) Keep() { s.halt() }

func (s *Store) halt() {
	for i := len(s.procs) - 1; i >= 0; i-- {
		s.procs[i].Kill() // every store is thrown away: nothing to flush
	}
	s.procs = nil
}

// PID is the process that serves S3 requests.
func (s *Store) PID() int { return s.procs[len(s.procs)-1].PID() }

// Client returns an SDK client for the store with its root credentials.
func (s *Store) Client() *s3.Client { return NewClient(s.Endpoint, s.AccessKey, s.SecretKey) }

// NewClient returns an aws-sdk-go-v2 client with path-style addresses and the SDK's default checksums.
func NewClient(endpoint, accessKey, secretKey string, more ...func(*s3.Options)) *s3.Client {
	o := s3.Options{
		BaseEndpoint: aws.String(endpoint), Region: Region, UsePathStyle: true,
		Credentials:                credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
	return s3.New(o, more...)
}

// newStore makes a store's directory and credentials. The secret is random, so that a probe can never mistake a foreign
// server on a reused port for its own.
func newStore(kind string) (*Store, error) {
	dir, err := os.MkdirTemp("", "s3veil-"+kind+"-")
	if err != nil {
		return nil, err
	}
	return &Store{Kind: kind, Dir: dir, AccessKey: "store" + kind, SecretKey: randomHex(20)}, nil
}

// probe asks the store for a signed ListBuckets.
func (s *Store) probe() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := s.Client().ListBuckets(ctx, &s3.ListBucketsInput{}, func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	return err
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

var shared = struct {
	sync.Mutex
	stores map[string]*Store
}{stores: map[string]*Store{}}

// Shared returns the one store of a kind that this process shares, started at first use. StopShared ends all of them.
func Shared(kind string) (*Store, error) {
	shared.Lock()
	defer shared.Unlock()
	if s := shared.stores[kind]; s != nil {
		return s, nil
	}
	s, err := Start(kind)
	if err == nil {
		shared.stores[kind] = s
	}
	return s, err
}

// StopShared stops every shared store; with keep their directories stay, and are returned.
func StopShared(keep bool) (kept []string) {
	shared.Lock()
	defer shared.Unlock()
	for kind, s := range shared.stores {
		if keep {
			s.Keep()
			kept = append(kept, s.Dir)
		} else {
			s.Stop()
		}
		delete(shared.stores, kind)
	}
	return kept
}
