// Package model runs random sequences of S3 operations against replicas of s3veil and against a model in memory, and
// compares every answer. Replicas are killed and restarted in between, so that whatever one of them knew is lost.
package model

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// Object is what the model knows of a key.
type Object struct {
	Body []byte
	ETag string // as the server gave it; empty when an answer was lost
	Meta map[string]string
	// Parts is how many parts its content was uploaded in, copies of it included; 0 stands for one.
	Parts int
	Enc   *Encryption // as it was asked for
}

// Upload is an open multipart upload.
type Upload struct {
	Bucket, Key string
	Parts       map[int32]Part
	Meta        map[string]string
	Enc         *Encryption
}

// Part is an uploaded part.
type Part struct {
	Body []byte
	ETag string
}

// State is the model: buckets of objects and open uploads by id.
type State struct {
	Buckets map[string]map[string]Object
	Uploads map[string]*Upload
}

// NewState returns an empty model with the given buckets.
func NewState(buckets ...string) *State {
	s := &State{Buckets: map[string]map[string]Object{}, Uploads: map[string]*Upload{}}
	for _, b := range buckets {
		s.Buckets[b] = map[string]Object{}
	}
	return s
}

// Keys returns the keys of a bucket below prefix in S3's order.
func (s *State) Keys(bucket, prefix string) []string {
	var keys []string
	for k := range s.Buckets[bucket] {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// Complete makes an object of the named parts of an upload and closes the upload.
func (s *State) Complete(id string, numbers []int32, etag string) {
	u := s.Uploads[id]
	var body []byte
	for _, n := range numbers {
		body = append(body, u.Parts[n].Body...)
	}
	s.Buckets[u.Bucket][u.Key] = Object{Body: body, ETag: etag, Meta: u.Meta, Parts: len(numbers), Enc: u.Enc}
	delete(s.Uploads, id)
}

// Equal reports whether o is the observed object.
func (o Object) Equal(body []byte, meta map[string]string) bool {
	return bytes.Equal(o.Body, body) && maps.Equal(o.Meta, meta)
}
