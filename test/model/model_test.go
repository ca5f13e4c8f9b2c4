package model

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/canary"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// length returns seed and number of steps: a new seed at each run, S3VEIL_TEST_SEED repeats one, S3VEIL_TEST_STEPS makes
// the run longer.
func length(t *testing.T, steps int) (uint64, int) {
	seed := uint64(time.Now().UnixNano())
	for name, set := range map[string]func(uint64){
		"S3VEIL_TEST_SEED":  func(v uint64) { seed = v },
		"S3VEIL_TEST_STEPS": func(v uint64) { steps = int(v) },
	} {
		if text := os.Getenv(name); text != "" {
			v, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			set(v)
		}
	}
	t.Logf("S3VEIL_TEST_SEED=%d S3VEIL_TEST_STEPS=%d", seed, steps)
	return seed, steps
}

// The bare store must meet the model too: it is S3's, not s3veil's.
func TestBareStoreMeetsTheModel(t *testing.T) {
	store := servers.MustShared(t, servers.Versity)
	c := store.Client()
	seed, steps := length(t, 150)
	r := New(Options{Seed: seed, Steps: steps, Clients: []*s3.Client{c}, PartsMayBeLeftOut: true,
		Buckets: []string{servers.NewBucket(t, c), servers.NewBucket(t, c)}})
	if err := r.Run(); err != nil {
		t.Fatal(err)
	}
}

func TestModelFindsAWrongStore(t *testing.T) {
	store := servers.MustShared(t, servers.Versity)
	c := store.Client()
	bucket := servers.NewBucket(t, c)
	r := New(Options{Seed: 1, Clients: []*s3.Client{c}, Buckets: []string{bucket}})
	if err := r.put(); err != nil {
		t.Fatal(err)
	}
	for key, o := range r.State.Buckets[bucket] {
		o.Body = append([]byte("x"), o.Body...)
		r.State.Buckets[bucket][key] = o
	}
	if err := r.Run(); err == nil {
		t.Fatal("a lost byte was not noticed")
	}
}

// canaryRules checks that nothing of the bodies is found below the store's and the cluster's directories.
func canaryRules(t *testing.T, bodies [][]byte, roots ...string) {
	t.Helper()
	var digests [][]byte
	for _, b := range bodies {
		digests = append(digests, canary.Digests(b)...)
	}
	findings, searched, err := canary.Search(roots, digests)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range findings {
		if i == 20 {
			t.Errorf("and %d more", len(findings)-i)
			break
		}
		t.Error(f)
	}
	t.Logf("searched %d bytes for %d bodies", searched, len(bodies))
}

func TestBareStoreBreaksTheCanaryRules(t *testing.T) {
	store := servers.MustStart(t, servers.Versity)
	c := store.Client()
	r := New(Options{Seed: 1, Steps: 5, Clients: []*s3.Client{c}, Buckets: []string{servers.NewBucket(t, c)}})
	for range 3 {
		if err := r.put(); err != nil {
			t.Fatal(err)
		}
	}
	findings, _, err := canary.Search([]string{store.Dir}, canary.Digests(r.Bodies[0]))
	if err != nil || len(findings) == 0 {
		t.Fatalf("plaintext in a bare store was not found: %v", err)
	}
}

// Three replicas, one of them killed at times, must look like one S3; nothing of the plaintext may be found afterwards.
func TestReplicasMeetTheModel(t *testing.T) { meetTheModel(t, 250, false) }

// The same over TLS, with every encryption that a request can name.
func TestReplicasMeetTheModelOfEncryption(t *testing.T) { meetTheModel(t, 200, true) }

func meetTheModel(t *testing.T, most int, encryptions bool) {
	t.Helper()
	store := servers.MustStart(t, servers.Versity)
	cluster := s3veil.MustStart(t, s3veil.Options{Store: store, Replicas: 3, TLS: encryptions})
	var clients []*s3.Client
	var replicas []Replica
	for _, r := range cluster.Replicas {
		clients, replicas = append(clients, cluster.ClientOf(r.Endpoint)), append(replicas, r)
	}
	seed, steps := length(t, most)
	r := New(Options{Seed: seed, Steps: steps, Clients: clients, Replicas: replicas, PartsMayBeLeftOut: true, Encrypted: true, Encryptions: encryptions,
		Buckets: []string{servers.NewBucket(t, clients[0]), servers.NewBucket(t, clients[0])}})
	if err := r.Run(); err != nil {
		t.Fatal(err)
	}
	t.Log(r.Counts())
	cluster.Keep()
	canaryRules(t, r.Bodies, store.Dir, cluster.Dir)
}
