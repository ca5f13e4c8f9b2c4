// Package proxytest is an S3 store in memory that does what a test tells it to: answer wrongly, cut a body, plant headers,
// change listings, forget what it was sent. It keeps a log of everything it has seen, so that tests can say what must never
// reach a store. It does not check signatures; it does check what a payload promises about itself.
package proxytest

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Object is one version of an object, or a part of one.
type Object struct {
	Data []byte
	// Header holds what the store keeps of a request: content headers and x-amz-meta-*, names in lower case.
	Header  map[string]string
	ETag    string // with quotes
	Version string // empty in buckets without versions
	Delete  bool   // a delete marker
	Time    time.Time
	Parts   []int64 // sizes, of a multipart object
	Sum     string  // CRC64NVME in base64, where one was sent
}

func (o *Object) clone() *Object {
	c := *o
	c.Data = slices.Clone(o.Data)
	c.Header = maps.Clone(o.Header)
	c.Parts = slices.Clone(o.Parts)
	return &c
}

// upload is a multipart upload under way.
type upload struct {
	key    string
	header map[string]string
	sums   bool
	parts  map[int]*Object
}

// bucket holds versions of each key, the newest last. Without versioning there is one.
type bucket struct {
	versioned bool
	keys      map[string][]*Object
	uploads   map[string]*upload
	// documents are sub-resources kept as they were sent: by "?name", or "key?name" of an object.
	documents map[string][]byte
}

// Call is one request as the store has seen it.
type Call struct {
	N      int    // from 0, in order of arrival
	Op     string // S3 name
	Method string
	Target string // raw, as it was sent
	Bucket string
	Key    string
	Query  url.Values
	Header http.Header
	Raw    []byte // body as sent, framing included
	Body   []byte // decoded
	Whole  bool   // the body came to its end
}

// Answer is what the store is about to say.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Delay passes before the head.
	Delay time.Duration
	// Cut ends the connection after so many bytes of the body, when it is not negative; Reset does so by a reset.
	Cut   int
	Reset bool
	// Drop ends the connection without an answer.
	Drop bool
	// NoLength leaves the length open: chunked, or up to the end of the connection with ToEnd.
	NoLength, ToEnd bool
}

// Hook changes what happens to calls. Both functions may be nil.
type Hook struct {
	// Before sees the head of a call, before its body is read. An answer that is not nil is given at once, and the call
	// has no effect; the body stays unread.
	Before func(c *Call) *Answer
	// After sees the whole call, which has had its effect, and may change the answer.
	After func(c *Call, a *Answer)
}

// Store is safe for concurrent use.
type Store struct {
	URL string
	t   testing.TB

	mu      sync.Mutex
	buckets map[string]*bucket
	log     []*Call
	hooks   map[int]Hook
	serial  int
}

// New starts a store on a loopback port and stops it with the test.
func New(t testing.TB, buckets ...string) *Store {
	t.Helper()
	s := &Store{t: t, buckets: map[string]*bucket{}, hooks: map[int]Hook{}}
	for _, b := range buckets {
		s.CreateBucket(b, false)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	s.URL = srv.URL
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return s
}

// CreateBucket makes an empty bucket.
func (s *Store) CreateBucket(name string, versioned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[name] = &bucket{
		versioned: versioned, keys: map[string][]*Object{}, uploads: map[string]*upload{}, documents: map[string][]byte{},
	}
}

// Put writes an object behind the proxy's back. Its ETag is made up when empty.
func (s *Store) Put(bucket, key string, o Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(s.buckets[bucket], key, o.clone())
}

// Get returns a copy of the newest version.
func (s *Store) Get(bucket, key string) (o *Object, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.newest(bucket, key); found != nil {
		return found.clone(), true
	}
	return nil, false
}

// Change lets f alter the newest version in place, metadata and bytes, and reports whether there is one.
func (s *Store) Change(bucket, key string, f func(o *Object)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.newest(bucket, key)
	if o != nil {
		f(o)
	}
	return o != nil
}

// Copy gives to the bytes and metadata of from, as an operator could behind the proxy's back.
func (s *Store) Copy(bucket, from, toBucket, to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.newest(bucket, from)
	if o != nil {
		s.write(s.buckets[toBucket], to, o.clone())
	}
	return o != nil
}

// Versions returns copies of all versions of a key, the newest first.
func (s *Store) Versions(bucket, key string) []*Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Object
	if b := s.buckets[bucket]; b != nil {
		for _, o := range b.keys[key] {
			list = append([]*Object{o.clone()}, list...)
		}
	}
	return list
}

// Delete removes all versions of a key.
func (s *Store) Delete(bucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.buckets[bucket].keys, key)
}

// Keys returns the visible keys in order.
func (s *Store) Keys(bucket string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, k := range slices.Sorted(maps.Keys(s.buckets[bucket].keys)) {
		if s.newest(bucket, k) != nil {
			list = append(list, k)
		}
	}
	return list
}

// Uploads returns the number of multipart uploads under way.
func (s *Store) Uploads(bucket string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.buckets[bucket].uploads)
}

// Calls returns the calls so far whose Op is one of ops, all of them without ops.
func (s *Store) Calls(ops ...string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Call
	for _, c := range s.log {
		if len(ops) == 0 || slices.Contains(ops, c.Op) {
			list = append(list, *c)
		}
	}
	return list
}

// Forget empties the log.
func (s *Store) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
}

// Saw reports where text stands in anything that was sent: targets, headers, bodies; empty when nowhere.
func (s *Store) Saw(text string) string {
	for _, c := range s.Calls() {
		if strings.Contains(c.Target, text) || strings.Contains(string(c.Raw), text) || strings.Contains(string(c.Body), text) {
			return fmt.Sprintf("call %d, %s %s", c.N, c.Method, c.Target)
		}
		for name, values := range c.Header {
			if strings.Contains(name, text) || strings.Contains(strings.Join(values, "\n"), text) {
				return fmt.Sprintf("call %d, header %s of %s %s", c.N, name, c.Method, c.Target)
			}
		}
	}
	return ""
}

// Hook adds a hook; remove takes it away again. Hooks run in the order in which they were added.
func (s *Store) Hook(h Hook) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	n := s.serial
	s.hooks[n] = h
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.hooks, n)
	}
}

// newest returns the current version, nil when there is none or it is a delete marker.
func (s *Store) newest(bucket, key string) *Object {
	b := s.buckets[bucket]
	if b == nil {
		return nil
	}
	list := b.keys[key]
	if len(list) == 0 || list[len(list)-1].Delete {
		return nil
	}
	return list[len(list)-1]
}

// write makes o the newest version.
func (s *Store) write(b *bucket, key string, o *Object) {
	if o.ETag == "" && !o.Delete {
		sum := md5.Sum(o.Data)
		o.ETag = `"` + hex.EncodeToString(sum[:]) + `"`
	}
	if o.Time.IsZero() {
		o.Time = time.Now().UTC().Truncate(time.Second)
	}
	if o.Header == nil {
		o.Header = map[string]string{}
	}
	if !b.versioned {
		o.Version = ""
		b.keys[key] = []*Object{o}
		return
	}
	s.serial++
	o.Version = fmt.Sprintf("v%08d", s.serial)
	b.keys[key] = append(b.keys[key], o)
}
