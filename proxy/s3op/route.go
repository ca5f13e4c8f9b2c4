package s3op

import (
	"mime"
	"strings"

	"s3veil/proxy/s3err"
)

// Router routes by host names.
type Router struct {
	Domains []string // virtual-host style domains; the longest that fits wins
}

type level int

const (
	service level = iota
	bucket
	object
)

// Route parses a request. rawPath and rawQuery are as they stood on the wire, rawQuery without "?". header returns all
// values of a request header by lower-case name, joined. Errors are s3err values; the Request is filled as far as it was
// understood, its Op too when the operation is known and refused.
func (r *Router) Route(method, host, rawPath, rawQuery string, header func(name string) string) (Request, error) {
	var q Request
	at, err := r.place(&q, host, rawPath)
	if err != nil {
		return q, err
	}
	if q.Query, err = parseQuery(rawQuery); err != nil {
		return q, err
	}
	if err := q.checkVersions(); err != nil {
		return q, err
	}
	if q.Op, err = q.operation(method, at, header); err != nil {
		return q, err
	}
	q.Info = Table[q.Op] // an operation without an entry has the zero Info, which is Refuse
	if q.Info.Treatment == Refuse {
		return q, s3err.Unimplemented(string(q.Op))
	}
	// At least one store decodes escapes in it, so that "%74rue" is true; what is not a plain no counts as yes.
	bypass := q.Header("x-amz-bypass-governance-retention", header)
	q.Bypass = bypass != "" && !strings.EqualFold(bypass, "false")
	return q, nil
}

// place splits host and path into bucket and key.
func (r *Router) place(q *Request, host, rawPath string) (level, error) {
	if rawPath == "" {
		rawPath = "/"
	}
	if rawPath[0] != '/' {
		return service, s3err.InvalidURI
	}
	rawKey := rawPath[1:]
	if q.Bucket, q.VirtualHost = r.hostBucket(host); !q.VirtualHost {
		var rawBucket string
		rawBucket, rawKey, _ = strings.Cut(rawKey, "/")
		if rawBucket == "" && rawKey == "" && !strings.HasPrefix(rawPath, "//") {
			return service, nil
		}
		var ok bool
		if q.Bucket, ok = Unescape(rawBucket, false); !ok {
			return service, s3err.InvalidURI
		}
	}
	if err := CheckBucket(q.Bucket); err != nil {
		return service, err
	}
	if rawKey == "" {
		return bucket, nil
	}
	var err error
	q.Key, err = decodeKey(rawKey)
	return object, err
}

// parseQuery decodes a raw query, "+" being a space as on S3.
func parseQuery(raw string) ([]Param, error) {
	if raw == "" {
		return nil, nil
	}
	out := make([]Param, 0, strings.Count(raw, "&")+1)
	for more := true; more; {
		var pair string
		if pair, raw, more = strings.Cut(raw, "&"); pair == "" {
			continue
		}
		name, value, has := strings.Cut(pair, "=")
		n, ok1 := Unescape(name, true)
		v, ok2 := Unescape(value, true)
		if !ok1 || !ok2 {
			return nil, s3err.InvalidURI
		}
		out = append(out, Param{Name: n, Value: v, HasValue: has})
	}
	return out, nil
}

// checkVersions refuses ids of versions that can be none, whichever of repeated ones counts.
func (q *Request) checkVersions() error {
	for _, p := range q.Query {
		if (p.Name == "versionId" || p.Name == "version-id-marker") && !CheckID(p.Value) {
			return s3err.Argument("Invalid version id specified", p.Name, p.Value)
		}
	}
	return nil
}

// Header returns a header of the request, or what a presigned URL carries in its query in the header's place.
func (r *Request) Header(name string, header func(name string) string) string {
	if v := header(name); v != "" {
		return v
	}
	if r.presigned() {
		for _, p := range r.Query {
			if strings.EqualFold(p.Name, name) {
				return p.Value
			}
		}
	}
	return ""
}

// operation finds the operation of a request whose place and query are known.
func (q *Request) operation(method string, at level, header func(string) string) (Op, error) {
	if method == "OPTIONS" && at != service {
		return Preflight, nil
	}
	if at == service {
		return q.serviceOp(method)
	}
	if err := q.findSubresource(); err != nil {
		return "", err
	}
	if err := q.strayCopySource(method, header); err != nil {
		return "", err
	}
	op, err := q.dispatch(method, at, header)
	if err != nil {
		return "", err
	}
	if source := q.Header("x-amz-copy-source", header); source != "" && method == "PUT" && at == object &&
		op != CopyObject && op != UploadPartCopy {
		return op, s3err.Argument("You can only specify a copy source header for copy requests.", "x-amz-copy-source", source)
	}
	return op, nil
}

// strayCopySource refuses a copy source where nothing is written. Form posts may carry fields of any name, so a POST is
// held to it on uploads only.
func (q *Request) strayCopySource(method string, header func(string) string) error {
	source := header("x-amz-copy-source")
	_, upload := q.Get("uploadId")
	if source == "" || method == "PUT" || (method == "POST" && !upload) {
		return nil
	}
	return s3err.Argument("You can only specify a copy source header for copy requests.", "x-amz-copy-source", source)
}

func (q *Request) dispatch(method string, at level, header func(string) string) (Op, error) {
	if q.Subresource == "list-type" {
		q.Subresource = ""
	}
	if q.Subresource != "" {
		return q.subresourceOp(method, at)
	}
	if at == object {
		return q.objectOp(method, header)
	}
	switch method {
	case "GET":
		return q.listOp()
	case "HEAD":
		return HeadBucket, nil
	case "PUT":
		return CreateBucket, nil
	case "DELETE":
		return DeleteBucket, nil
	case "POST":
		if q.Bucket == string(WriteGetObjectResponse) || header("x-amz-request-route") != "" {
			return WriteGetObjectResponse, nil
		}
		if kind, _, err := mime.ParseMediaType(header("content-type")); err == nil && kind == "multipart/form-data" {
			return PostObject, nil
		}
		return "", s3err.Precondition("Bucket POST must be of the enclosure-type multipart/form-data")
	}
	return "", s3err.Method(method, "BUCKET")
}

func (q *Request) serviceOp(method string) (Op, error) {
	if err := q.findSubresource(); err != nil {
		return "", err
	}
	_, directory := q.Get("max-directory-buckets")
	if id, _ := q.Get("x-id"); directory || id == string(ListDirectoryBuckets) {
		return ListDirectoryBuckets, nil
	}
	if method != "GET" || q.Subresource != "" {
		return "", s3err.Method(method, "SERVICE")
	}
	return ListBuckets, nil
}

func (q *Request) listOp() (Op, error) {
	kind, ok := q.Get("list-type")
	switch {
	case kind == "2":
		q.Subresource = "list-type"
		return ListObjectsV2, nil
	case !ok, kind == "", kind == "1":
		return ListObjects, nil
	}
	return "", s3err.Argument("Invalid List Type specified in Request", "list-type", kind)
}

func (q *Request) objectOp(method string, header func(string) string) (Op, error) {
	_, upload := q.Get("uploadId")
	_, numbered := q.Get("partNumber")
	switch method {
	case "GET":
		if upload {
			return ListParts, nil
		}
		return GetObject, nil
	case "HEAD":
		return HeadObject, nil
	case "DELETE":
		if upload {
			return AbortMultipartUpload, nil
		}
		return DeleteObject, nil
	case "POST":
		if upload {
			return CompleteMultipartUpload, nil
		}
	case "PUT":
		copies := q.Header("x-amz-copy-source", header) != ""
		switch {
		case upload && !numbered:
			return "", s3err.Method(method, "UPLOAD")
		case numbered && !upload:
			return "", s3err.Argument("This operation does not accept partNumber without uploadId", "partNumber", "partNumber")
		case upload && copies:
			return UploadPartCopy, nil
		case upload:
			return UploadPart, nil
		case copies:
			return CopyObject, nil
		}
		return PutObject, nil
	}
	return "", s3err.Method(method, "OBJECT")
}
