package proxy

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/crypto/s3ec"
	"s3veil/proxy/proxytest"
)

// foreignVector is an object as the S3 Encryption Client left it (crypto/s3ec/testdata).
type foreignVector struct {
	Meta        map[string]string
	Instruction string
	Body, Plain []byte
	Legacy      bool
	KMS         *struct {
		Context map[string]string
		Key     []byte
	}
}

// foreignVectors are the objects of 100 bytes, and of none.
func foreignVectors(t *testing.T) map[string]foreignVector {
	t.Helper()
	out := map[string]foreignVector{}
	for _, pattern := range []string{"*-100.json", "*-0.json"} {
		files, err := filepath.Glob("../crypto/s3ec/testdata/vectors/" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatal("no vectors", err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var v foreignVector
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			out[strings.TrimSuffix(filepath.Base(file), ".json")] = v
		}
	}
	return out
}

// foreignKMS knows the data keys of the vectors by their encryption context and blob.
type foreignKMS struct {
	kms.Provider
	keys map[string][]byte
}

func (k foreignKMS) Unwrap(_ context.Context, kek string, blob []byte, ec kms.Context) (kms.Key32, error) {
	key, ok := k.keys[string(blob)+string(ec.Canonical())]
	if !ok || kek != "arn" {
		return kms.Key32{}, kms.ErrBadCiphertext
	}
	return kms.Key32(key), nil
}

func foreignKeys(t *testing.T, all map[string]foreignVector) *s3ec.Keys {
	t.Helper()
	raw, err := os.ReadFile("../crypto/s3ec/testdata/rsa.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	pair, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var raw32 kms.Key32
	for i := range raw32 {
		raw32[i] = byte(i)
	}
	k := foreignKMS{keys: map[string][]byte{}}
	for _, v := range all {
		if v.KMS == nil {
			continue
		}
		meta := v.Meta
		if v.Instruction != "" {
			if meta, err = s3ec.Merge(meta, []byte(v.Instruction)); err != nil {
				t.Fatal(err)
			}
		}
		h, err := s3ec.Parse(meta, true)
		if err != nil {
			t.Fatal(err)
		}
		k.keys[string(h.EDK)+string(kms.Context(h.Context).Canonical())] = v.KMS.Key
	}
	return &s3ec.Keys{AES: []kms.Key32{raw32}, RSA: []*rsa.PrivateKey{pair.(*rsa.PrivateKey)},
		KMS: []s3ec.KMSKey{{Provider: k, Key: "arn", Context: map[string]string{"team": "blue"}}, {Provider: k, Key: "arn"}}}
}

// foreignFixture is a proxy over a store full of foreign objects.
func foreignFixture(t *testing.T, change func(*Foreign)) (*fixture, map[string]foreignVector) {
	t.Helper()
	all := foreignVectors(t)
	rule := &Foreign{Keys: foreignKeys(t, all), Legacy: true, InstructionFiles: true, MaxObject: 1 << 20}
	if change != nil {
		change(rule)
	}
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].Foreign = rule })
	for name, v := range all {
		meta := map[string]string{"content-type": "text/plain", "x-amz-meta-color": "blue"}
		for n, value := range v.Meta {
			meta["x-amz-meta-"+n] = value
		}
		f.store.Put("data", name, proxytest.Object{Data: bytes.Clone(v.Body), Header: meta})
		if v.Instruction != "" {
			f.store.Put("data", name+".instruction", proxytest.Object{Data: []byte(v.Instruction),
				Header: map[string]string{"x-amz-meta-x-amz-crypto-instr-file": ""}})
		}
	}
	return f, all
}

func TestForeignObjectsAreServed(t *testing.T) {
	f, all := foreignFixture(t, nil)
	_, listing := f.must("GET", "/data?list-type=2", nil)
	for name, v := range all {
		resp, got := f.do("GET", "/data/"+name, nil)
		if resp.StatusCode != 200 || !bytes.Equal(got, v.Plain) {
			t.Errorf("%s: GET %d %.200s", name, resp.StatusCode, got)
			continue
		}
		for n := range resp.Header {
			if strings.HasPrefix(strings.ToLower(n), "x-amz-meta-x-amz-") {
				t.Errorf("%s: %s is shown", name, n)
			}
		}
		if resp.Header.Get("x-amz-meta-color") != "blue" || !strings.HasSuffix(resp.Header.Get("Etag"), `-0"`) {
			t.Errorf("%s: header %v", name, resp.Header)
		}
		head, _ := f.do("HEAD", "/data/"+name, nil)
		if head.ContentLength != int64(len(v.Plain)) || head.Header.Get("Etag") != resp.Header.Get("Etag") {
			t.Errorf("%s: HEAD %d, %d bytes, %s", name, head.StatusCode, head.ContentLength, head.Header.Get("Etag"))
		}
		if tag := strings.Trim(resp.Header.Get("Etag"), `"`); !bytes.Contains(listing, []byte(tag)) {
			t.Errorf("%s: the listing does not show the ETag %s", name, tag)
		}
		if len(v.Plain) == 0 {
			continue
		}
		for _, r := range [][2]int{{0, 0}, {3, 50}, {99, 99}, {10, 99}} {
			resp, got := f.do("GET", "/data/"+name, nil, "range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]))
			want := fmt.Sprintf("bytes %d-%d/100", r[0], r[1])
			if resp.StatusCode != 206 || !bytes.Equal(got, v.Plain[r[0]:r[1]+1]) || resp.Header.Get("Content-Range") != want {
				t.Errorf("%s: range %v: %d %q", name, r, resp.StatusCode, resp.Header.Get("Content-Range"))
			}
		}
	}
	if n := bytes.Count(listing, []byte("<Size>100</Size>")); n < 10 {
		t.Errorf("%d entries of 100 bytes in %s", n, listing)
	}
}

// Whoever plants foreign objects makes the KMS work for each reading, and is held back as with envelopes that were never seen.
func TestForeignObjectsCountAsMisses(t *testing.T) {
	all := foreignVectors(t)
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Buckets[0].Foreign = &Foreign{Keys: foreignKeys(t, all), MaxObject: 1 << 20}
		set.Cache.MissRate = 0.001
	})
	for _, name := range []string{"v2-kms-meta-100", "v2-aes-meta-100"} {
		meta := map[string]string{}
		for n, value := range all[name].Meta {
			meta["x-amz-meta-"+n] = value
		}
		f.store.Put("data", name, proxytest.Object{Data: bytes.Clone(all[name].Body), Header: meta})
		for n, want := range []int{200, map[string]int{"v2-kms-meta-100": 503, "v2-aes-meta-100": 200}[name]} {
			resp, got := f.do("GET", "/data/"+name, nil)
			if resp.StatusCode != want || want == 503 && !bytes.Contains(got, []byte("SlowDown")) {
				t.Errorf("%s, reading %d: %d %.200s", name, n, resp.StatusCode, got)
			}
		}
	}
}

func TestForeignObjectsBecomeOursWhenCopied(t *testing.T) {
	f, all := foreignFixture(t, nil)
	for name, v := range all {
		f.must("PUT", "/data/copies/"+name, nil, "x-amz-copy-source", "/data/"+name)
		o, ok := f.store.Get("data", "copies/"+name)
		if !ok || o.Header["x-amz-meta-s3veil"] == "" {
			t.Errorf("%s: the copy is not sealed: %v", name, o)
			continue
		}
		for n := range o.Header {
			if strings.HasPrefix(n, "x-amz-meta-x-amz-") {
				t.Errorf("%s: the copy carries %s", name, n)
			}
		}
		if _, got := f.must("GET", "/data/copies/"+name, nil); !bytes.Equal(got, v.Plain) {
			t.Errorf("%s: the copy differs", name)
		}
	}
}

func TestForeignObjectsAreOffByDefault(t *testing.T) {
	f, all := foreignFixture(t, func(r *Foreign) { r.Legacy, r.InstructionFiles = false, false })
	for name, v := range all {
		resp, got := f.do("GET", "/data/"+name, nil)
		want := 200
		switch {
		case v.Legacy, v.Instruction != "":
			want = 422
		}
		if resp.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, got, want)
		}
	}
	off := newFixture(t, nil)
	v := all["v3-aes-meta-100"]
	meta := map[string]string{}
	for n, value := range v.Meta {
		meta["x-amz-meta-"+n] = value
	}
	off.store.Put("data", "k", proxytest.Object{Data: v.Body, Header: meta})
	if resp, got := off.do("GET", "/data/k", nil); resp.StatusCode != 422 || !bytes.Contains(got, []byte("ObjectNotEncrypted")) {
		t.Errorf("without the setting: %d %s", resp.StatusCode, got)
	}
}

func TestForeignObjectsThatWereTamperedWith(t *testing.T) {
	f, all := foreignFixture(t, nil)
	v := all["v3-aes-meta-100"]
	other := all["v2-aes-meta-100"]
	for name, change := range map[string]func(o *proxytest.Object){
		"body":        func(o *proxytest.Object) { o.Data[5] ^= 1 },
		"cut":         func(o *proxytest.Object) { o.Data = o.Data[:50] },
		"commitment":  func(o *proxytest.Object) { o.Header["x-amz-meta-x-amz-d"] = other.Meta["x-amz-iv"] },
		"two signals": func(o *proxytest.Object) { o.Header["x-amz-meta-x-amz-key-v2"] = other.Meta["x-amz-key-v2"] },
		"no key":      func(o *proxytest.Object) { delete(o.Header, "x-amz-meta-x-amz-3") },
	} {
		o := proxytest.Object{Data: bytes.Clone(v.Body), Header: map[string]string{}}
		for n, value := range v.Meta {
			o.Header["x-amz-meta-"+n] = value
		}
		o.Header = maps.Clone(o.Header)
		change(&o)
		f.store.Put("data", "k", o)
		resp, got := f.do("GET", "/data/k", nil)
		if resp.StatusCode != 422 || bytes.Contains(got, v.Plain[:20]) {
			t.Errorf("%s: %d %s", name, resp.StatusCode, got)
		}
		if resp, got := f.do("PUT", "/data/copy", nil, "x-amz-copy-source", "/data/k"); resp.StatusCode == 200 && !bytes.Contains(got, []byte("<Error>")) {
			t.Errorf("%s: copied: %s", name, got)
		}
	}
}

// TestLargeForeignObjects: above max_object only what can be verified behind the fact is read, and only where asked for.
func TestLargeForeignObjects(t *testing.T) {
	key := make([]byte, 32)
	block, _ := aes.NewCipher(key)
	aead, _ := cipher.NewGCM(block)
	plain := bytes.Repeat([]byte("large foreign object "), 20000)
	iv := make([]byte, 12)
	var kek kms.Key32
	kb, _ := aes.NewCipher(kek[:])
	wrap, _ := cipher.NewGCM(kb)
	edk := append(make([]byte, 12), wrap.Seal(nil, make([]byte, 12), key, []byte("AES/GCM/NoPadding"))...)
	object := proxytest.Object{Data: aead.Seal(nil, iv, plain, nil), Header: map[string]string{
		"x-amz-meta-x-amz-key-v2": base64.StdEncoding.EncodeToString(edk), "x-amz-meta-x-amz-iv": base64.StdEncoding.EncodeToString(iv),
		"x-amz-meta-x-amz-wrap-alg": "AES/GCM", "x-amz-meta-x-amz-cek-alg": "AES/GCM/NoPadding", "x-amz-meta-x-amz-tag-len": "128",
		"x-amz-meta-x-amz-matdesc": "{}"}}
	forged := proxytest.Object{Data: bytes.Clone(object.Data), Header: object.Header}
	forged.Data[0] ^= 1
	for _, delayed := range []bool{false, true} {
		f := newFixture(t, func(set *Settings, _ *Options) {
			set.Buckets[0].Foreign = &Foreign{Keys: &s3ec.Keys{AES: []kms.Key32{kek}}, MaxObject: 64 << 10, Delayed: delayed}
		})
		f.store.Put("data", "good", object)
		f.store.Put("data", "forged", forged)
		resp, got := f.do("GET", "/data/good", nil)
		if !delayed && resp.StatusCode != 422 || delayed && (resp.StatusCode != 200 || !bytes.Equal(got, plain)) {
			t.Errorf("delayed %v: GET %d, %d bytes", delayed, resp.StatusCode, len(got))
		}
		f.must("PUT", "/data/copy", nil, "x-amz-copy-source", "/data/good")
		if _, got := f.must("GET", "/data/copy", nil); !bytes.Equal(got, plain) {
			t.Errorf("delayed %v: the copy differs", delayed)
		}
		if resp, got := f.do("PUT", "/data/bad", nil, "x-amz-copy-source", "/data/forged"); resp.StatusCode == 200 && !bytes.Contains(got, []byte("<Error>")) {
			t.Errorf("delayed %v: a forged object was copied: %s", delayed, got)
		}
		if _, ok := f.store.Get("data", "bad"); ok {
			t.Errorf("delayed %v: the copy of a forged object is there", delayed)
		}
		if !delayed {
			continue
		}
		resp, got = f.do("GET", "/data/good", nil, "range", "bytes=100000-300000")
		if resp.StatusCode != 206 || !bytes.Equal(got, plain[100000:300001]) {
			t.Errorf("range: %d, %d bytes", resp.StatusCode, len(got))
		}
		for _, r := range []string{"bytes=0-", "bytes=5-9", "bytes=-300000"} {
			c := f.dial()
			io.WriteString(c, f.head("GET", "/data/forged", unsigned, "range", r))
			raw, _ := io.ReadAll(c)
			_, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
			length := 1 << 30
			if at := bytes.Index(raw, []byte("Content-Length: ")); at >= 0 && bytes.HasPrefix(raw, []byte("HTTP/1.1 206")) {
				fmt.Sscanf(string(raw[at:]), "Content-Length: %d", &length)
			}
			if len(body) >= length {
				t.Errorf("forged, %s: all %d bytes arrive", r, length)
			}
		}
		f.idle()
	}
}

// TestNeighboursOfInstructionFiles: an ordinary object beside something named like an instruction file stays what it is.
func TestNeighboursOfInstructionFiles(t *testing.T) {
	f, _ := foreignFixture(t, nil)
	for i, text := range []string{"not JSON", "{}", `{"a":"b"}`} {
		f.must("PUT", fmt.Sprintf("/data/plain%d.instruction", i), []byte("x"))
		f.store.Put("data", fmt.Sprintf("plain%d", i), proxytest.Object{Data: []byte("plain")})
		f.store.Put("data", fmt.Sprintf("plain%d.instruction", i), proxytest.Object{Data: []byte(text)})
		resp, got := f.do("GET", fmt.Sprintf("/data/plain%d", i), nil)
		if resp.StatusCode != 422 || !bytes.Contains(got, []byte("ObjectNotEncrypted")) {
			t.Errorf("%q: %d %s", text, resp.StatusCode, got)
		}
	}
	// A client that may write a neighbour's name takes no plaintext object away from those who read it.
	f.must("PUT", "/data/open.instruction", []byte(`{"x-amz-key":"AA==","x-amz-iv":"AA=="}`), "x-amz-meta-x-amz-crypto-instr-file", "yes")
	f.store.Put("data", "open", proxytest.Object{Data: []byte("plain")})
	if resp, got := f.do("GET", "/data/open", nil); resp.StatusCode != 422 || !bytes.Contains(got, []byte("ObjectNotEncrypted")) {
		t.Errorf("beside an object of a client's: %d %s", resp.StatusCode, got)
	}
	f.must("PUT", "/data/own", []byte("own"), "x-amz-meta-x-amz-key", "a client's", "x-amz-meta-x-amz-3", "own")
	resp, got := f.must("GET", "/data/own", nil)
	if string(got) != "own" || resp.Header.Get("x-amz-meta-x-amz-key") != "a client's" {
		t.Errorf("an s3veil object with foreign names: %v", resp.Header)
	}
}
