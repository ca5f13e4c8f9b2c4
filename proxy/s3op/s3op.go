// Package s3op turns the raw target of a request into an S3 operation. It is pure: strings in, a Request or an error out.
// Nothing falls through: what it does not know is refused (DESIGN.md 2).
package s3op

// Op is an operation by its S3 name, for example "PutObject". It is a metric label and the action of audit lines.
type Op string

// Class is the action class of DESIGN.md 6.2 that a client needs.
type Class int

// The action classes. Open operations are allowed to every authenticated client (ListBuckets).
const (
	Open Class = iota
	Read
	Write
	Delete
	Admin
)

// Treatment says what s3veil does with an operation.
type Treatment int

// The treatments of DESIGN.md 2.
const (
	Refuse Treatment = iota
	Pass
	Rewrite
	Transform
)

// Info is a row of the operation table.
type Info struct {
	Class     Class
	Treatment Treatment
	Object    bool     // the operation names a key
	Query     []string // query names that may go upstream, in addition to the sub-resource itself
	Headers   []string // request headers that may go upstream, in addition to those every request may carry
	Answer    []string // answer headers that may come back, in addition to those every answer may carry
}

// Table is the operation table. An operation without an entry is refused.
var Table map[Op]Info

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
}

// Get returns the first value of a query parameter.
func (r *Request) Get(name string) (string, bool) { panic("stub") }

// Router routes by host names.
type Router struct {
	Domains []string // virtual-host style domains; the longest that fits wins
}

// Route parses a request. header returns the first value of a request header by lower-case name. Errors are s3err values.
func (r *Router) Route(method, host, rawPath, rawQuery string, header func(name string) string) (Request, error) {
	panic("stub")
}

// Reserved reports whether key lies under the reserved prefix, as sent or as a path-cleaning store would see it.
func Reserved(key string) bool { panic("stub") }

// EscapePath percent-encodes a key for a request path as SigV4 canonicalises it ("/" kept).
func EscapePath(key string) string { panic("stub") }
