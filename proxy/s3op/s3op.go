// Package s3op turns the raw target of a request into an S3 operation. It is pure: strings in, a Request or an error out.
// Nothing falls through: what it does not know is refused (docs/ARCHITECTURE.md 2).
package s3op

import (
	"strconv"
	"strings"
)

// Op is an operation by its S3 name, for example "PutObject". It is a metric label and the action of audit lines.
type Op string

// Class is the action class of docs/ARCHITECTURE.md 4 that a client needs.
type Class int

// The action classes. Open operations are allowed to every authenticated client (ListBuckets); a CORS preflight, the other
// one, is not authenticated at all.
const (
	Open Class = iota
	Read
	Write
	Delete
	Admin
)

// String is the word of the configuration: "read", "write", "delete", "admin"; "open" for Open.
func (c Class) String() string {
	if c < Open || c > Admin {
		return "unknown"
	}
	return [...]string{"open", "read", "write", "delete", "admin"}[c]
}

// ParseClass returns the class of a word of the configuration; Open is not one of them.
func ParseClass(word string) (Class, bool) {
	for c := Read; c <= Admin; c++ {
		if c.String() == word {
			return c, true
		}
	}
	return Open, false
}

// Treatment says what s3veil does with an operation.
type Treatment int

// The treatments of docs/ARCHITECTURE.md 2.
const (
	Refuse Treatment = iota
	Pass
	Rewrite
	Transform
)

// Info is a row of the operation table. A header name that ends in "*" stands for all names with that prefix.
type Info struct {
	Class     Class
	Treatment Treatment
	Object    bool     // the operation names a key
	Query     []string // query names that may go upstream, in addition to the sub-resource itself
	Local     []string // query names that s3veil acts upon and never forwards
	Headers   []string // request headers that may go upstream, in addition to those every request may carry
	Own       []string // request headers that s3veil acts upon and never forwards as they are
	Answer    []string // answer headers that may come back, in addition to those every answer may carry
	Guarded   bool     // unknown x-amz-* headers are refused, because dropping one may change what the request means

	forward, answer *names
}

// Param is one decoded query parameter; HasValue tells "acl" from "acl=".
type Param struct {
	Name, Value string
	HasValue    bool
}

// Request is a routed request.
type Request struct {
	Op          Op
	Info        Info
	Bucket      string // client-visible name; empty for ListBuckets
	Key         string // percent-decoded once, not cleaned
	Query       []Param
	VirtualHost bool // bucket came from the host
	// Bypass reports that the request asks to bypass governance retention, which needs Admin in addition to Class.
	Bypass bool
	// Subresource is the query name that selected the operation, for example "acl"; empty for none.
	Subresource string
}

// Get returns the first value of a query parameter.
func (r *Request) Get(name string) (string, bool) {
	for _, p := range r.Query {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// Forward returns the query that may go upstream: the sub-resource, then the first value of each name in Info.Query, in
// that order, page sizes clamped to S3's 1,000. Everything else the client sent stays behind (THREATS.md row 20).
func (r *Request) Forward() []Param {
	var out []Param
	if r.Subresource != "" {
		p := Param{Name: r.Subresource}
		if r.Subresource == "list-type" {
			p.Value, p.HasValue = "2", true
		}
		out = append(out, p)
	}
	for _, name := range r.Info.Query {
		if v, ok := r.Get(name); ok {
			out = append(out, Param{Name: name, Value: clampPage(name, v), HasValue: true})
		}
	}
	return out
}

// maxPage is what S3 lets a page hold, whatever a client asks for; stores that allow more would make pages unbounded.
const maxPage = 1000

func clampPage(name, value string) string {
	switch name {
	case "max-keys", "max-parts", "max-uploads":
		if n, err := strconv.Atoi(value); err == nil && n > maxPage {
			return strconv.Itoa(maxPage)
		}
	}
	return value
}

// authParams are query parameters of signatures and of SDKs' book-keeping. They never reach a store and select nothing.
func authParam(name string) bool {
	switch name {
	case "AWSAccessKeyId", "Signature", "Expires", "x-id":
		return true
	}
	return isAmz(name)
}

func isAmz(name string) bool { return len(name) >= 6 && strings.EqualFold(name[:6], "x-amz-") }

// presigned reports whether the query carries a signature, of version 4 or 2; as for who verifies it, in any spelling. Header
// and Hoisted have to agree on it: what chooses the operation and its rights is what takes effect.
func (r *Request) presigned() bool {
	for _, p := range r.Query {
		if strings.EqualFold(p.Name, "X-Amz-Signature") || strings.EqualFold(p.Name, "AWSAccessKeyId") {
			return true
		}
	}
	return false
}

// Hoisted returns the x-amz-* headers that a presigned URL carries in its query instead, names in lower case: S3 treats
// them as headers, and since all parameters are signed they can be believed once the signature has been verified. Left out
// are the signature's own parameters and checksums, which one SDK computes over an empty body when it presigns.
func (r *Request) Hoisted() []Param {
	if !r.presigned() {
		return nil
	}
	var out []Param
	for _, p := range r.Query {
		if !isAmz(p.Name) {
			continue
		}
		name := strings.ToLower(p.Name)
		switch name {
		case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature",
			"x-amz-security-token", "x-amz-content-sha256", "x-amz-region-set", "x-amz-sdk-checksum-algorithm", "x-amz-user-agent":
			continue
		}
		if strings.HasPrefix(name, "x-amz-checksum-") && name != "x-amz-checksum-mode" &&
			name != "x-amz-checksum-algorithm" && name != "x-amz-checksum-type" {
			continue
		}
		out = append(out, Param{Name: name, Value: p.Value, HasValue: true})
	}
	return out
}
