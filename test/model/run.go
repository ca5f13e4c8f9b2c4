package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/canary"
)

// Replica is something that can die and come back.
type Replica interface {
	Kill()
	Start() error
}

// Options configure a run.
type Options struct {
	Seed     uint64
	Steps    int
	Clients  []*s3.Client // one per replica
	Replicas []Replica    // none: nothing is killed
	Buckets  []string     // existing and empty
	// PartsMayBeLeftOut reports whether the store takes a Complete that does not name every uploaded part.
	PartsMayBeLeftOut bool
	// Encrypted says that s3veil stands in front of the store.
	Encrypted bool
	// Encryptions says that requests name encryptions, customers' keys among them: the clients speak TLS.
	Encryptions bool
	Log         func(format string, args ...any)
}

// Runner executes one random sequence. It is used by one goroutine.
type Runner struct {
	Options
	State  *State
	Bodies [][]byte // every body that was ever sent, for the canary rules
	rng    *rand.Rand
	ctx    context.Context
	step   int
	counts map[string]int
}

// keys are few, so that operations meet.
var keys = []string{"a", "b", "dir/a", "dir/b", "dir/sub/c", "ключ +%", "z z", "zz"}

// New returns a runner.
func New(o Options) *Runner {
	return &Runner{Options: o, State: NewState(o.Buckets...), rng: rand.New(rand.NewPCG(o.Seed, 1)),
		ctx: context.Background(), counts: map[string]int{}}
}

type operation struct {
	name   string
	weight int
	run    func(*Runner) error
}

var operations = []operation{
	{"put", 16, (*Runner).put},
	{"get", 14, (*Runner).get},
	{"range", 14, (*Runner).ranged},
	{"head", 6, (*Runner).head},
	{"copy", 8, (*Runner).copy},
	{"touch", 3, (*Runner).touch},
	{"delete", 4, (*Runner).delete},
	{"delete many", 2, (*Runner).deleteMany},
	{"list", 8, (*Runner).list},
	{"create upload", 4, (*Runner).create},
	{"upload part", 14, (*Runner).part},
	{"copy part", 4, (*Runner).partCopy},
	{"list parts", 4, (*Runner).listParts},
	{"complete", 5, (*Runner).complete},
	{"abort", 1, (*Runner).abort},
	{"put if absent", 3, (*Runner).putIfAbsent},
	{"kill", 3, (*Runner).kill},
	{"kill during put", 2, (*Runner).killDuringPut},
}

// Run executes all steps and compares everything at the end. The error names step, operation and seed.
func (r *Runner) Run() error {
	total := 0
	for _, o := range operations {
		total += o.weight
	}
	for r.step = range r.Steps {
		n := r.rng.IntN(total)
		for _, o := range operations {
			if n -= o.weight; n < 0 {
				r.counts[o.name]++
				if err := o.run(r); err != nil {
					return fmt.Errorf("seed %d, step %d, %s: %w", r.Seed, r.step, o.name, err)
				}
				break
			}
		}
	}
	return r.compareAll()
}

// Counts returns how often each operation ran.
func (r *Runner) Counts() map[string]int { return r.counts }

func (r *Runner) client() *s3.Client { return r.Clients[r.rng.IntN(len(r.Clients))] }
func (r *Runner) bucket() string     { return r.Buckets[r.rng.IntN(len(r.Buckets))] }
func (r *Runner) key() string        { return keys[r.rng.IntN(len(keys))] }

// body returns new marked bytes, mostly small, at times at package edges, seldom several MiB.
func (r *Runner) body(sizes ...int) []byte {
	n := 0
	switch k := r.rng.IntN(20); {
	case len(sizes) > 0:
		n = sizes[r.rng.IntN(len(sizes))]
	case k < 2:
		n = r.rng.IntN(2)
	case k < 10:
		n = r.rng.IntN(5000)
	case k < 15:
		n = (1+r.rng.IntN(4))<<16 + r.rng.IntN(3) - 1
	case k < 19:
		n = r.rng.IntN(400_000)
	default:
		n = 1<<20 + r.rng.IntN(1<<20)
	}
	b := make([]byte, n)
	var key [32]byte
	for i := range key {
		key[i] = byte(r.rng.Uint32())
	}
	rand.NewChaCha8(key).Read(b)
	canary.Stamp(b)
	r.Bodies = append(r.Bodies, b)
	return b
}

func (r *Runner) meta() map[string]string {
	if r.rng.IntN(2) == 0 {
		return nil
	}
	return map[string]string{"step": fmt.Sprint(r.step), "word": fmt.Sprintf("%x", r.rng.Uint64())}
}

func (r *Runner) put() error {
	bucket, key, body, meta, enc := r.bucket(), r.key(), r.body(), r.meta(), r.encryption()
	out, err := r.client().PutObject(r.ctx, making(&s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), Metadata: meta}, enc))
	if err != nil {
		return err
	}
	r.State.Buckets[bucket][key] = Object{Body: body, ETag: *out.ETag, Meta: orEmpty(meta), Enc: enc}
	return r.announced(out, enc)
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func (r *Runner) putIfAbsent() error {
	bucket, key, body, enc := r.bucket(), r.key(), r.body(), r.encryption()
	_, present := r.State.Buckets[bucket][key]
	out, err := r.client().PutObject(r.ctx, making(&s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body),
		IfNoneMatch: aws.String("*")}, enc))
	if present {
		return expect(err, 412)
	}
	if err != nil {
		return err
	}
	r.State.Buckets[bucket][key] = Object{Body: body, ETag: *out.ETag, Meta: map[string]string{}, Enc: enc}
	return nil
}

// read gets an object whole or reports that it is absent (found false).
func (r *Runner) read(c *s3.Client, bucket, key string) (body []byte, out *s3.GetObjectOutput, found bool, err error) {
	out, err = c.GetObject(r.ctx, reading(&s3.GetObjectInput{Bucket: &bucket, Key: &key}, r.State.Buckets[bucket][key].Enc))
	if status(err) == 404 {
		return nil, nil, false, nil
	}
	if err != nil {
		return nil, nil, false, err
	}
	defer out.Body.Close()
	body, err = io.ReadAll(out.Body)
	return body, out, true, err
}

func (r *Runner) get() error { return r.check(r.client(), r.bucket(), r.key()) }

// check compares one key with the model.
func (r *Runner) check(c *s3.Client, bucket, key string) error {
	want, present := r.State.Buckets[bucket][key]
	body, out, found, err := r.read(c, bucket, key)
	switch {
	case err != nil:
		return err
	case found != present:
		return fmt.Errorf("%s/%s: found %v, want %v", bucket, key, found, present)
	case !found:
		return nil
	case !want.Equal(body, orEmpty(out.Metadata)):
		return fmt.Errorf("%s/%s: %d bytes and %v, want %d and %v", bucket, key, len(body), out.Metadata, len(want.Body), want.Meta)
	case want.ETag != "" && *out.ETag != want.ETag:
		return fmt.Errorf("%s/%s: ETag %s, want %s", bucket, key, *out.ETag, want.ETag)
	}
	return r.announced(out, want.Enc)
}

func (r *Runner) ranged() error {
	bucket, key := r.bucket(), r.key()
	want, present := r.State.Buckets[bucket][key]
	if !present || len(want.Body) == 0 {
		return nil // stores differ on suffix ranges of empty objects
	}
	n := len(want.Body)
	first, last := r.rng.IntN(n+2), 0
	spec, ok := "", first < n
	switch r.rng.IntN(4) {
	case 0:
		spec, last = fmt.Sprintf("bytes=%d-", first), n-1
	case 1:
		tail := 1 + r.rng.IntN(n+10)
		first, last, ok = max(0, n-tail), n-1, true
		spec = fmt.Sprintf("bytes=-%d", tail)
	default:
		last = first + r.rng.IntN(1+min(n, 1<<r.rng.IntN(21)))
		spec = fmt.Sprintf("bytes=%d-%d", first, last)
		last = min(last, n-1)
	}
	out, err := r.client().GetObject(r.ctx, reading(&s3.GetObjectInput{Bucket: &bucket, Key: &key, Range: &spec}, want.Enc))
	if !ok {
		return expect(err, 416)
	}
	if err != nil {
		return fmt.Errorf("%s of %d: %w", spec, n, err)
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want.Body[first:last+1]) {
		return fmt.Errorf("%s/%s %s of %d: %d other bytes", bucket, key, spec, n, len(got))
	}
	return nil
}

func (r *Runner) head() error {
	bucket, key := r.bucket(), r.key()
	want, present := r.State.Buckets[bucket][key]
	out, err := r.client().HeadObject(r.ctx, reading(&s3.HeadObjectInput{Bucket: &bucket, Key: &key}, want.Enc))
	if !present {
		return expect(err, 404)
	}
	if err != nil {
		return err
	}
	if aws.ToInt64(out.ContentLength) != int64(len(want.Body)) || want.ETag != "" && *out.ETag != want.ETag {
		return fmt.Errorf("%s/%s: length %d ETag %s, want %d %s", bucket, key, aws.ToInt64(out.ContentLength), *out.ETag,
			len(want.Body), want.ETag)
	}
	return r.announced(out, want.Enc)
}

func (r *Runner) delete() error {
	bucket, key := r.bucket(), r.key()
	_, err := r.client().DeleteObject(r.ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	delete(r.State.Buckets[bucket], key)
	return err
}

func (r *Runner) deleteMany() error {
	bucket := r.bucket()
	var ids []types.ObjectIdentifier
	for _, i := range r.rng.Perm(len(keys))[:3] {
		ids = append(ids, types.ObjectIdentifier{Key: aws.String(keys[i])})
		delete(r.State.Buckets[bucket], keys[i])
	}
	out, err := r.client().DeleteObjects(r.ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: ids}})
	if err == nil && len(out.Errors) != 0 {
		err = fmt.Errorf("%s: %s", *out.Errors[0].Key, aws.ToString(out.Errors[0].Code))
	}
	return err
}

func (r *Runner) list() error {
	prefix := []string{"", "", "dir/", "z", "none"}[r.rng.IntN(5)]
	return r.compareList(r.client(), r.bucket(), prefix, int32(1+r.rng.IntN(10)))
}

// listed is by how much a listing may overstate the size of an object: parts of uneven lengths leave up to 32 bytes each but for
// one (FORMAT.md 8.4). A bare store overstates nothing.
func (r *Runner) listed(o Object) int64 {
	if o.Parts < 2 || !r.Encrypted {
		return 0
	}
	return 32 * int64(o.Parts-1)
}

// compareList compares keys, sizes and ETags page by page.
func (r *Runner) compareList(c *s3.Client, bucket, prefix string, page int32) error {
	var got []types.Object
	p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, MaxKeys: &page})
	for p.HasMorePages() {
		out, err := p.NextPage(r.ctx)
		if err != nil {
			return err
		}
		got = append(got, out.Contents...)
	}
	want := r.State.Keys(bucket, prefix)
	if !slices.EqualFunc(got, want, func(o types.Object, k string) bool { return *o.Key == k }) {
		return fmt.Errorf("%s %q: %d entries, want %q", bucket, prefix, len(got), want)
	}
	for _, o := range got {
		m := r.State.Buckets[bucket][*o.Key]
		if over := aws.ToInt64(o.Size) - int64(len(m.Body)); over < 0 || over > r.listed(m) || m.ETag != "" && aws.ToString(o.ETag) != m.ETag {
			return fmt.Errorf("%s/%s: size %d ETag %s, want %d %s", bucket, *o.Key, aws.ToInt64(o.Size), aws.ToString(o.ETag),
				len(m.Body), m.ETag)
		}
	}
	return nil
}

// compareAll compares every key and listing through every replica.
func (r *Runner) compareAll() error {
	for _, c := range r.Clients {
		for _, b := range r.Buckets {
			if err := r.compareList(c, b, "", 1000); err != nil {
				return fmt.Errorf("seed %d, at the end: %w", r.Seed, err)
			}
			for _, k := range keys {
				if err := r.check(c, b, k); err != nil {
					return fmt.Errorf("seed %d, at the end: %w", r.Seed, err)
				}
			}
		}
	}
	return nil
}

// status is the HTTP status of an error answer, 0 where there was none.
func status(err error) int {
	var re *awshttp.ResponseError
	if errors.As(err, &re) {
		return re.HTTPStatusCode()
	}
	return 0
}

func expect(err error, code int) error {
	if status(err) != code {
		return fmt.Errorf("got %v, want status %d", err, code)
	}
	return nil
}
