package proxy

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/s3ec"
	"s3veil/proxy/proxytest"
)

// sealForeign makes an object of version 2 under an AES key.
func sealForeign(t *testing.T, kek kms.Key32, plain []byte) proxytest.Object {
	t.Helper()
	key, iv := make([]byte, 32), make([]byte, 12)
	seal := func(key, text, aad []byte) []byte {
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		return aead.Seal(nil, iv, text, aad)
	}
	edk := append(bytes.Clone(iv), seal(kek[:], key, []byte("AES/GCM/NoPadding"))...)
	return proxytest.Object{Data: seal(key, plain, nil), Header: map[string]string{
		"x-amz-meta-x-amz-key-v2": base64.StdEncoding.EncodeToString(edk), "x-amz-meta-x-amz-iv": base64.StdEncoding.EncodeToString(iv),
		"x-amz-meta-x-amz-wrap-alg": "AES/GCM", "x-amz-meta-x-amz-cek-alg": "AES/GCM/NoPadding", "x-amz-meta-x-amz-tag-len": "128",
		"x-amz-meta-x-amz-matdesc": "{}"}}
}

// Objects that are verified whole in memory stay there as long as their clients read, so those who read slowly, or not at all, may
// fill a part of the budget only, whose rest serves everybody else. What has been lent comes back, the plaintext overwritten.
func TestForeignObjectsThatNobodyReadsLeaveRoom(t *testing.T) {
	var kek kms.Key32
	f := newFixture(t, func(set *Settings, o *Options) {
		o.Limits.Memory, o.Limits.AdmissionWait = 32<<20, 20*time.Millisecond
		set.Buckets[0].Foreign = &Foreign{Keys: &s3ec.Keys{AES: []kms.Key32{kek}}, MaxObject: 16 << 20}
	})
	plain := bytes.Repeat([]byte("foreign "), 1<<20)
	f.store.Put("data", "foreign", sealForeign(t, kek, plain))
	var idle []net.Conn
	for i := range 2 {
		c := f.dial()
		if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil { // so that the kernel does not take all of it
			t.Fatal(err)
		}
		idle = append(idle, c)
		fmt.Fprint(c, f.head("GET", "/data/foreign", unsigned))
		f.eventually(fmt.Sprintf("object %d is charged", i), func() bool { return f.held() >= int64(i+1)*int64(len(plain)) })
	}
	for _, method := range []string{"GET", "PUT"} { // a copy holds it whole, too
		target, header := "/data/foreign", []string(nil)
		if method == "PUT" {
			target, header = "/data/copy", []string{"x-amz-copy-source", "/data/foreign"}
		}
		if resp, doc := f.do(method, target, nil, header...); resp.StatusCode != 503 || !bytes.Contains(doc, []byte("SlowDown")) {
			t.Errorf("%s of a third one: %d %.300s", method, resp.StatusCode, doc)
		}
	}
	ours := bytes.Repeat([]byte("ours "), 1<<19)
	f.must("PUT", "/data/ours", ours)
	if _, got := f.must("GET", "/data/ours", nil); !bytes.Equal(got, ours) {
		t.Error("another object comes back changed")
	}
	for _, c := range idle {
		c.Close()
	}
	f.eventually("everything has been given back", func() bool { return f.held() == 0 })
	if _, got := f.must("GET", "/data/foreign", nil); !bytes.Equal(got, plain) {
		t.Error("the object comes back changed")
	}
	f.must("PUT", "/data/copy", nil, "x-amz-copy-source", "/data/foreign")
	f.idle()
	if n := f.held(); n != 0 {
		t.Errorf("%d bytes are not given back", n)
	}
}

// The buffers of objects that are verified behind the fact are charged, too.
func TestBuffersOfDelayedObjectsAreCharged(t *testing.T) {
	var kek kms.Key32
	f := newFixture(t, func(set *Settings, o *Options) {
		o.Limits.AdmissionWait = 20 * time.Millisecond
		set.Buckets[0].Foreign = &Foreign{Keys: &s3ec.Keys{AES: []kms.Key32{kek}}, MaxObject: 1 << 20, Delayed: true}
	})
	f.store.Put("data", "foreign", sealForeign(t, kek, make([]byte, 12<<20)))
	for _, header := range [][]string{nil, {"range", "bytes=0-99"}} {
		if _, got := f.must("GET", "/data/foreign", nil, header...); len(got) == 0 {
			t.Error("nothing came")
		}
		f.idle()
		if n := f.held(); n != 0 {
			t.Fatalf("%q: %d bytes are not given back", header, n)
		}
	}
	c := f.dial()
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, f.head("GET", "/data/foreign", unsigned))
	f.eventually("the buffers are charged", func() bool { return f.held() >= s3ec.DelayedBuffer })
	c.Close()
	f.eventually("everything has been given back", func() bool { return f.held() == 0 })
}
