package model

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Encryption is how an object was asked to be encrypted. nil is nothing said.
type Encryption struct {
	Name  string
	write map[string]any // fields of the SDK's inputs that make an object
	read  map[string]any // and of those that need its key
	says  map[string]any // fields of every later answer
}

// encryptions are the ways of a run with Options.Encryptions; the key "main" must be there.
var encryptions = []*Encryption{
	nil,
	{Name: "SSE-S3", write: map[string]any{"ServerSideEncryption": types.ServerSideEncryptionAes256},
		says: map[string]any{"ServerSideEncryption": types.ServerSideEncryptionAes256}},
	kms("SSE-KMS", nil),
	kms("SSE-KMS with context", map[string]any{"SSEKMSEncryptionContext": base64.StdEncoding.EncodeToString([]byte(`{"model":"x"}`))}),
	kms("SSE-KMS without bucket key", map[string]any{"BucketKeyEnabled": false}),
	customer("SSE-C", "an application's key of 32 bytes"),
	customer("SSE-C of another", "another application's, 32 bytes!"),
}

func kms(name string, more map[string]any) *Encryption {
	e := &Encryption{Name: name, write: map[string]any{"ServerSideEncryption": types.ServerSideEncryptionAwsKms},
		says: map[string]any{"ServerSideEncryption": types.ServerSideEncryptionAwsKms, "SSEKMSKeyId": "main"}}
	for field, value := range more {
		e.write[field] = value
	}
	return e
}

func customer(name, key string) *Encryption {
	sum := md5.Sum([]byte(key))
	fields := map[string]any{"SSECustomerAlgorithm": "AES256", "SSECustomerKey": base64.StdEncoding.EncodeToString([]byte(key)),
		"SSECustomerKeyMD5": base64.StdEncoding.EncodeToString(sum[:])}
	return &Encryption{Name: name, write: fields, read: fields,
		says: map[string]any{"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": fields["SSECustomerKeyMD5"]}}
}

// encryption draws one, nil where the run has none.
func (r *Runner) encryption() *Encryption {
	if !r.Encryptions {
		return nil
	}
	return encryptions[r.rng.IntN(len(encryptions))]
}

// making sets the fields of an input that makes an object, reading those of one that needs its key, source those of a copy's
// source.
func making[T any](in *T, e *Encryption) *T {
	if e == nil {
		return in
	}
	return fill(in, "", e.write)
}

func reading[T any](in *T, e *Encryption) *T {
	if e == nil {
		return in
	}
	return fill(in, "", e.read)
}

func copying[T any](in *T, e *Encryption) *T {
	if e == nil {
		return in
	}
	return fill(in, "CopySource", e.read)
}

func fill[T any](in *T, prefix string, fields map[string]any) *T {
	v := reflect.ValueOf(in).Elem()
	for name, value := range fields {
		f := v.FieldByName(prefix + name)
		if f.Kind() == reflect.Pointer {
			p := reflect.New(f.Type().Elem())
			p.Elem().Set(reflect.ValueOf(value))
			f.Set(p)
		} else {
			f.Set(reflect.ValueOf(value))
		}
	}
	return in
}

// announced holds what an answer says about encryption against the model.
func (r *Runner) announced(out any, e *Encryption) error {
	if e == nil || !r.Encryptions {
		return nil
	}
	v := reflect.ValueOf(out).Elem()
	for name, want := range e.says {
		if got := reflect.Indirect(v.FieldByName(name)); !got.IsValid() || fmt.Sprint(got.Interface()) != fmt.Sprint(want) {
			return fmt.Errorf("%s: %s is %v, want %v", e.Name, name, got, want)
		}
	}
	return nil
}
