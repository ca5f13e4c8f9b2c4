package model

import (
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// kill crashes a replica and starts it again: nothing that matters may have been in its memory.
func (r *Runner) kill() error {
	if len(r.Replicas) == 0 {
		return nil
	}
	i := r.rng.IntN(len(r.Replicas))
	r.Replicas[i].Kill()
	return r.Replicas[i].Start()
}

// killDuringPut crashes a replica while it receives a body. The object must be the old one or, where the crash came after
// the store had taken it, the new one; anything between is a failure.
func (r *Runner) killDuringPut() error {
	if len(r.Replicas) == 0 {
		return nil
	}
	i := r.rng.IntN(len(r.Replicas))
	bucket, key, body := r.bucket(), r.key(), r.body(200_000, 1<<20+1, 3<<20)
	cut, enc := r.rng.IntN(len(body)+1), r.State.Buckets[bucket][key].Enc // the same, so that either can be read
	src := &killer{body: body, cut: cut, kill: r.Replicas[i].Kill}
	in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: src, ContentLength: aws.Int64(int64(len(body)))}
	_, err := r.Clients[i].PutObject(r.ctx, making(in, enc), plain, func(o *s3.Options) {
		o.RetryMaxAttempts = 1
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	})
	if !src.killed {
		r.Replicas[i].Kill() // an answer came before the cut
	}
	if serr := r.Replicas[i].Start(); serr != nil {
		return serr
	}
	got, out, found, rerr := r.read(r.client(), bucket, key)
	if rerr != nil {
		return rerr
	}
	old, present := r.State.Buckets[bucket][key]
	fresh := Object{Body: body, Meta: map[string]string{}, Enc: enc}
	switch {
	case found && fresh.Equal(got, orEmpty(out.Metadata)) && src.sent == len(body):
		fresh.ETag = *out.ETag
		r.State.Buckets[bucket][key] = fresh
		return nil
	case err == nil:
		return fmt.Errorf("%s/%s: PUT said yes, the object is another", bucket, key)
	case found != present:
		return fmt.Errorf("%s/%s after %d of %d bytes: found %v, before %v", bucket, key, src.sent, len(body), found, present)
	case found && !old.Equal(got, orEmpty(out.Metadata)):
		return fmt.Errorf("%s/%s after %d of %d bytes: neither the old nor the new object", bucket, key, src.sent, len(body))
	}
	return nil
}

// killer is a body that kills the server when cut bytes have been read. It can be rewound, as the SDK demands, until then.
type killer struct {
	body      []byte
	sent, cut int
	kill      func()
	killed    bool
}

func (k *killer) Read(b []byte) (int, error) {
	if k.sent >= k.cut && !k.killed {
		k.killed = true
		k.kill()
	}
	if k.sent == len(k.body) {
		return 0, io.EOF
	}
	end := min(len(k.body), k.sent+32<<10)
	if !k.killed {
		end = min(end, max(k.cut, k.sent+1))
	}
	n := copy(b, k.body[k.sent:end])
	k.sent += n
	return n, nil
}

func (k *killer) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += int64(k.sent)
	case io.SeekEnd:
		offset += int64(len(k.body))
	}
	k.sent = int(offset)
	return offset, nil
}
