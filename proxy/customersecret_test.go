package proxy

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/proxy/proxytest"
	"s3veil/proxy/s3op"
	"s3veil/proxy/sse"
)

// What the store serves in the place of an object under a customer's key opens under no other, and the other way round.
func TestEnvelopesExchangedBetweenKeys(t *testing.T) {
	f, _ := withKeys(t)
	own := inTLS(customer(appKey))
	f.must("PUT", "/data/customer", []byte("hello"), own...)
	f.must("PUT", "/data/second", []byte("hullo"), own...)
	f.must("PUT", "/data/kms", []byte("hallo"))
	entry := func(key string) string {
		o, _ := f.store.Get("data", key)
		return o.Header["x-amz-meta-s3veil"]
	}
	customers, seconds, kmss := entry("customer"), entry("second"), entry("kms")
	set := func(key, value string) {
		f.store.Change("data", key, func(o *proxytest.Object) { o.Header["x-amz-meta-s3veil"] = value })
	}
	kid := func(entry, kid string) string { // the same envelope under another kid
		sealed, err := envelope.ParseText(entry)
		if err != nil {
			t.Fatal(err)
		}
		raw := sealed.Bytes()
		k := int(raw[6])
		raw = append(append(append(bytes.Clone(raw[:6]), byte(len(kid))), kid...), raw[7+k:]...)
		return "1." + base64.RawURLEncoding.EncodeToString(raw)
	}
	rewrapped := func(entry, other string) string { // the same envelope with the wrapped key of another
		sealed, err := envelope.ParseText(entry)
		if err != nil {
			t.Fatal(err)
		}
		from, err := envelope.ParseText(other)
		if err != nil {
			t.Fatal(err)
		}
		if sealed, err = sealed.Rewrapped(from.Header().KID, from.Header().Wrapped); err != nil {
			t.Fatal(err)
		}
		return sealed.Text()
	}
	for _, c := range []struct {
		what, key, entry string
		headers          []string
		status           int
	}{
		{"wrapped key of another object under the same key", "customer", rewrapped(customers, seconds), own, 403},
		{"KMS envelope on a customer's object", "customer", kmss, own, 400},
		{"KMS envelope on a customer's object, read without key", "customer", kmss, nil, 422},
		{"customer's envelope on a KMS object", "kms", customers, nil, 400},
		{"customer's envelope on a KMS object, read with the key", "kms", customers, own, 422},
		{"envelope of another object under the same key", "customer", seconds, own, 422},
		{"customer's envelope that names a KMS key", "customer", kid(customers, "main"), nil, 422},
		{"KMS envelope that names a customer's key", "kms", kid(kmss, "@sse-c"), own, 403},
	} {
		set("customer", customers)
		set("kms", kmss)
		set(c.key, c.entry)
		if resp, doc := f.do("GET", "/data/"+c.key, nil, c.headers...); resp.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.what, resp.StatusCode, doc)
		}
	}
}

// buffer is a log that many goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// The key stands in no log line, no audit line, and nothing that goes to the store, refusals included.
func TestCustomerKeysLeaveNoTrace(t *testing.T) {
	f, _ := withKeys(t)
	var log buffer
	f.s.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	own, source := inTLS(customer(appKey)), inTLS(customerSource(appKey))
	f.must("PUT", "/data/key", []byte("hello"), own...)
	f.must("GET", "/data/key", nil, own...)
	f.must("PUT", "/data/copy", nil, append(append([]string{"x-amz-copy-source", "data/key"}, source...), customer(appKey)...)...)
	f.do("GET", "/data/key", nil, customer(appKey)...)
	f.do("PUT", "/data/key", nil, inTLS(append(customer(appKey), sse.HeaderType, "AES256"))...)
	f.do("PUT", "/data/key", nil, inTLS(append(customer(appKey)[:4:4], customer(otherKey)[4:]...))...)
	f.do("PUT", "/data/key?tagging", []byte("<x/>"), own...)
	f.do("PUT", "/data/key?acl", nil, own...)
	f.do("GET", "/data/none", nil, own...)
	f.do("DELETE", "/data/key", nil, append(own, customerSource(appKey)...)...)
	f.idle()
	var lines strings.Builder
	for _, l := range f.audit.all() {
		fmt.Fprintf(&lines, "%+v\n", l)
	}
	headers := customer(appKey)
	for _, trace := range []string{appKey, headers[3], headers[5], hex.EncodeToString([]byte(appKey)), "customer-"} {
		if strings.Contains(log.String(), trace) {
			t.Errorf("the log holds %q", trace)
		}
		if strings.Contains(lines.String(), trace) {
			t.Errorf("the audit log holds %q", trace)
		}
		if where := f.store.Saw(trace); where != "" {
			t.Errorf("the store saw %q: %s", trace, where)
		}
	}
	if !strings.Contains(log.String(), "AccessDenied") && !strings.Contains(log.String(), "InvalidRequest") {
		t.Error("nothing was logged")
	}
}

// The keys are taken out of the request's head and overwritten when the exchange ends.
func TestCustomerKeysAreForgotten(t *testing.T) {
	f, _ := withKeys(t)
	x := &exchange{s: f.s, st: f.s.state.Load(), tls: true}
	x.bucket, _ = x.st.bucket("data")
	headers := append(append(customer(appKey), customerSource(otherKey)...), "x-amz-copy-source", "data/key")
	for i := 0; i < len(headers); i += 2 {
		x.head.Fields = append(x.head.Fields, fieldOf(headers[i], headers[i+1]))
	}
	if err := x.chooseEncryption(); err != nil || x.customer == nil || x.sourceCustomer == nil {
		t.Fatal(err)
	}
	for _, field := range x.head.Fields {
		if strings.HasSuffix(field.Name, "customer-key") && field.Value != "" {
			t.Errorf("%s is still in the head", field.Name)
		}
	}
	wrapped, _ := x.customer.NewKey("data")
	x.forgetCustomerKeys()
	if _, err := x.customer.OpenKey(wrapped, "data"); err == nil {
		t.Error("the key still opens")
	}
}

// An operator's tools see the envelope of an object under a customer's key, and no more.
func TestInspectKnowsCustomerKeys(t *testing.T) {
	f, _ := withKeys(t)
	f.must("PUT", "/data/key", []byte("hello"), inTLS(customer(appKey))...)
	i, err := f.s.Inspect(t.Context(), "data", "key", "")
	if err != nil || i.Envelope == nil || i.Envelope.KID != envelope.CustomerKID || i.Sealed != nil || i.SizeProven || i.PlaintextSize != 5 ||
		len(i.Problems) != 1 || !strings.Contains(i.Problems[0], "customer's key") {
		t.Errorf("%+v, %v", i, err)
	}
	if _, err := f.s.FindParts(t.Context(), "data", "key", ""); !errors.Is(err, ErrUnrepairable) {
		t.Errorf("repair: %v", err)
	}
}

// An exchange overwrites the keys when it ends, refusals included.
func TestCustomerKeysEndWithTheirExchange(t *testing.T) {
	f, _ := withKeys(t)
	var mu sync.Mutex
	var seen []*exchange
	for _, op := range []s3op.Op{"PutObject", "GetObject", "CopyObject"} {
		plain := handlers[op]
		handlers[op] = func(x *exchange) error {
			mu.Lock()
			seen = append(seen, x)
			mu.Unlock()
			return plain(x)
		}
		defer func() { handlers[op] = plain }()
	}
	own := inTLS(customer(appKey))
	f.must("PUT", "/data/key", bigPart, own...)
	f.must("GET", "/data/key", nil, own...)
	f.do("GET", "/data/key", nil, inTLS(customer(otherKey))...)
	f.must("PUT", "/data/copy", nil, append(append([]string{"x-amz-copy-source", "data/key"}, inTLS(customerSource(appKey))...), customer(otherKey)...)...)
	f.idle()
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 4 {
		t.Fatalf("%d exchanges", len(seen))
	}
	wrapped := f.envelopeOf("data", "key").Wrapped
	for _, x := range seen {
		for _, key := range []*sse.CustomerKey{x.customer, x.sourceCustomer} {
			if key == nil {
				continue
			}
			if _, err := key.OpenKey(wrapped, "data"); err == nil {
				t.Errorf("%s: the key is still there", x.req.Op)
			}
		}
	}
}

func TestStatusOfHEADWithoutKeyIsTheOneOfGET(t *testing.T) {
	f, _ := withKeys(t)
	f.must("PUT", "/data/key", []byte("hello"), inTLS(customer(appKey))...)
	for _, headers := range [][]string{nil, inTLS(customer(otherKey)), customer(appKey)} {
		get, _ := f.do(http.MethodGet, "/data/key", nil, headers...)
		head, _ := f.do(http.MethodHead, "/data/key", nil, headers...)
		if get.StatusCode != head.StatusCode || head.StatusCode < 400 {
			t.Errorf("GET %d, HEAD %d", get.StatusCode, head.StatusCode)
		}
	}
}
