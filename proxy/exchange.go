package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"s3veil/proxy/head"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// exchange is one request and its answer. It lives from the request head to the last byte of the answer, which a body
// stream writes after the handler has returned.
type exchange struct {
	s      *Server
	st     *state
	ctx    *fasthttp.RequestCtx
	id     string // x-amz-request-id
	start  time.Time
	head   head.Head
	req    s3op.Request
	auth   *sigv4.Verified
	client *client
	bucket bucket
	source netip.Addr
	tls    bool
	via    *via         // how it came over the forward port; nil for the S3 port
	body   *requestBody // nil until the body is asked for
	lent   bool         // body is being read by another goroutine

	choice         sse.Choice       // how the object that this request makes is encrypted
	customer       *sse.CustomerKey // the client's own key (SSE-C), nil for none; overwritten at the end
	sourceCustomer *sse.CustomerKey // the same for the source of a copy

	documents *documents       // held in memory, nil for none
	strict    bool             // walks are asked for by name only, whatever the bucket's policy (an operator's tools)
	signs     context.Context  // holds the client's credential where the store takes that, nil otherwise
	paired    context.Context  // holds two reserved connections for a streamed copy, nil otherwise
	storeID   string           // x-amz-id-2: the store's request id
	code      string           // of the answer, for metrics and audit
	streaming bool             // a body stream finishes the exchange
	note      note             // what the audit line tells
	refusal   []upstream.Field // headers of the store's own error
	recording *recording       // the request's trace; nil where it is not recorded
}

func (s *Server) newExchangeRaw(ctx *fasthttp.RequestCtx) *exchange {
	x := &exchange{s: s, st: s.state.Load(), ctx: ctx, id: newRequestID(), start: s.now()}
	s.active.Add(1)
	ctx.Response.Header.DisableNormalizing()
	ctx.Response.Header.SetNoDefaultContentType(true)
	return x
}

func (s *Server) newExchange(ctx *fasthttp.RequestCtx) *exchange {
	x := s.newExchangeRaw(ctx)
	x.tls, x.via = ctx.IsTLS(), viaOf(ctx.Conn())
	if addr, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		x.source = addr.AddrPort().Addr().Unmap()
	}
	return x
}

// newRequestID returns 16 upper-case hexadecimal digits.
func newRequestID() string {
	const digits = "0123456789ABCDEF"
	var b [8]byte
	rand.Read(b[:])
	var text [16]byte
	for i, v := range b {
		text[2*i], text[2*i+1] = digits[v>>4], digits[v&15]
	}
	return string(text[:])
}

// admit reads the head, routes, authenticates and authorises. Nothing has been sent upstream when it returns.
func (x *exchange) admit() error {
	var err error
	if x.head, err = head.Parse(&x.ctx.Request.Header); err != nil {
		e := s3err.InvalidRequest.With(err)
		e.Close = true
		return e
	}
	router := &x.st.router
	if x.via == nil {
		x.trustForwarded()
	}
	x.beginTrace()
	if x.via != nil {
		if router, err = x.enter(); err != nil || router == nil {
			return err
		}
	}
	if x.head.Section > head.MaxSection {
		return s3err.HeaderSection(head.MaxSection).With(fmt.Errorf("header section of %d bytes", x.head.Section))
	}
	if x.head.Method == "OPTIONS" {
		return x.admitPreflight(router)
	}
	if x.req, err = router.Route(x.head.Method, x.head.Host, x.head.Path, x.head.Query, x.head.Joined); err != nil {
		return x.whoFirst(err)
	}
	checking := x.step("authenticate")
	err = x.authenticate()
	checking.end(err)
	if err != nil {
		return err
	}
	if x.auth != nil {
		if err := x.hoist(); err != nil {
			return err
		}
	}
	if err := x.checkAmzHeaders(); err != nil {
		return err
	}
	if err := sse.RefusePlain(x.encryptionHeader, x.tls); err != nil {
		return err
	}
	if err := x.authorise(); err != nil {
		return err
	}
	if err := x.checkClaim(); err != nil {
		return err
	}
	return x.auditable()
}

// errAnonymous is S3's answer to requests that ask for a signature whatever is open to everybody.
var errAnonymous = s3err.AccessDenied.Say("Anonymous users cannot invoke this API. Please authenticate.")

// whoFirst says of an operation that there is none to those alone who have a right to ask: S3 looks at the signature first.
func (x *exchange) whoFirst(err error) error {
	if !errors.Is(err, s3err.NotImplemented) {
		return err
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	if x.auth != nil && x.auth.Kind == sigv4.Anonymous {
		return errAnonymous
	}
	return err
}

// serve runs the handler of an admitted request.
func (x *exchange) serve() error {
	if x.via != nil && x.via.other {
		return x.relay()
	}
	if h := handlers[x.req.Op]; h != nil {
		return h(x)
	}
	if x.req.Info.Treatment == s3op.Pass {
		return (*exchange).pass(x)
	}
	return s3err.NotImplemented
}

// trustForwarded takes source address and TLS from a trusted balancer's headers.
func (x *exchange) trustForwarded() {
	trusted := func(a netip.Addr) bool {
		for _, p := range x.st.settings.TrustProxies {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	if !trusted(x.source) {
		return
	}
	if allHTTPS(x.head.Joined("x-forwarded-proto")) {
		x.tls = true
	}
	// The last address that is not a trusted proxy's is the client's; what stands before it, the client may have written.
	hops := strings.Split(x.head.Joined("x-forwarded-for"), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return
		}
		x.source = a.Unmap()
		if !trusted(x.source) {
			return
		}
	}
}

// allHTTPS reports whether every scheme of X-Forwarded-Proto is https: some balancers add theirs to what the client has sent.
func allHTTPS(schemes string) bool {
	for s := range strings.SplitSeq(schemes, ",") {
		if !strings.EqualFold(strings.TrimSpace(s), "https") {
			return false
		}
	}
	return true
}

// call sends a request to the store of the bucket. Header, query and body are s3veil's own by now.
func (x *exchange) call(r *upstream.Request) (*upstream.Response, error) {
	return x.callOn(x.bucket.store.data, r)
}

// context is the context of requests to the store and the KMS. It carries no deadline of the client's: the engine does not
// tell when one has gone, every phase has its own limit.
func (x *exchange) context() context.Context {
	if x.paired != nil {
		return x.paired
	}
	if x.signs != nil {
		return x.signs
	}
	return backgroundContext
}

// accompany adds to a request of s3veil's own what the client's says about the bucket: who pays, without which a bucket whose
// requesters pay answers nobody else; and the account that it has to belong to, where something is written.
func (x *exchange) accompany(r *upstream.Request) {
	if r.Unsigned {
		return
	}
	x.carry(r, "x-amz-request-payer")
	if r.Bucket == x.bucket.name && r.Method != "GET" && r.Method != "HEAD" {
		x.carry(r, "x-amz-expected-bucket-owner")
	}
}

// carry adds a header of the client's to a request that lacks it.
func (x *exchange) carry(r *upstream.Request, name string) {
	value := x.head.Get(name)
	if value == "" || slices.ContainsFunc(r.Header, func(f upstream.Field) bool { return f.Name == name }) {
		return
	}
	r.Header = append(slices.Clip(r.Header), upstream.Field{Name: name, Value: value})
}

func (x *exchange) callOn(c *upstream.Client, r *upstream.Request) (*upstream.Response, error) {
	return x.callIn(x.context(), c, r)
}

// callOwn asks for what s3veil itself keeps, under its own credentials where it has some beside the clients'. What an operation
// writes there before the store has agreed to the operation goes up under the client's.
func (x *exchange) callOwn(b *bucket, r *upstream.Request) (*upstream.Response, error) {
	if b.store.own {
		return x.callIn(backgroundContext, b.store.control, r)
	}
	return x.callOn(b.store.control, r)
}

func (x *exchange) callIn(ctx context.Context, c *upstream.Client, r *upstream.Request) (*upstream.Response, error) {
	if r.Bucket == "" && x.bucket.name != "" {
		r.Bucket = x.bucket.name
	}
	if r.Bucket == "" && r.Op != string(s3op.ListBuckets) {
		return nil, fmt.Errorf("proxy: %s of no bucket", r.Op)
	}
	x.accompany(r)
	resp, err := x.ask(ctx, c, r)
	if err != nil {
		return nil, unanswered(c.Name(), r.Op, err)
	}
	if id := resp.Get("x-amz-request-id"); id != "" {
		x.storeID = id
	}
	x.note.answered(x, r, resp)
	if r.Body != nil {
		x.s.metrics.Bytes("upstream", "out", r.Body.Len())
	}
	return resp, nil
}

// set adds an answer header.
func (x *exchange) set(name, value string) { x.ctx.Response.Header.Set(name, value) }

// setIDs adds the request ids: the first is s3veil's own, the second the store's.
func (x *exchange) setIDs() {
	x.set("x-amz-request-id", x.id)
	if x.storeID != "" {
		x.set("x-amz-id-2", x.storeID)
	}
}

// respond starts an answer: status, ids and the headers that the operation lets back from the store.
func (x *exchange) respond(status int, from *upstream.Response) {
	x.ctx.Response.SetStatusCode(status)
	x.code = statusText(status)
	if from != nil {
		for _, f := range from.Header {
			if f.Name != "content-type" && x.req.Info.MayAnswer(f.Name) {
				x.ctx.Response.Header.Add(f.Name, forClient(f.Name, f.Value))
			}
		}
	}
	x.setIDs()
}

// statusTexts are the statuses in digits.
var statusTexts = func() (texts [600]string) {
	for i := range texts {
		texts[i] = strconv.Itoa(i)
	}
	return texts
}()

// statusText is strconv.Itoa without an allocation.
func statusText(status int) string {
	if status >= 0 && status < len(statusTexts) {
		return statusTexts[status]
	}
	return strconv.Itoa(status)
}

// xml answers with a document.
func (x *exchange) xml(status int, doc []byte) error {
	x.ctx.Response.SetStatusCode(status)
	x.code = statusText(status)
	x.ctx.Response.Header.SetContentType("application/xml")
	x.sendDocument(doc)
	return nil
}

// finish is called once, after the last byte of the answer: metrics and audit.
func (x *exchange) finish() { x.end(x.ctx.Response.StatusCode()) }

// end is finish for exchanges whose engine context may serve another request by now.
func (x *exchange) end(status int) {
	x.note.status = status
	x.documents.end()
	x.forgetCustomerKeys()
	x.record()
	x.endTrace()
	x.s.active.Add(-1)
}

// errShortBody is what a client that died in mid-body leaves behind.
var errShortBody = errors.New("request body ended early")
