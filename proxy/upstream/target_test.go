package upstream

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestTargetOnTheWire compares the bytes of the request line and the Host header with what S3 expects (DATAPATH.md rule 8).
func TestTargetOnTheWire(t *testing.T) {
	lines := make(chan string, 1)
	s := newStore(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			host, err := br.ReadString('\n')
			if err != nil {
				return
			}
			for rest := ""; rest != "\r\n"; {
				if rest, err = br.ReadString('\n'); err != nil {
					return
				}
			}
			lines <- strings.TrimSuffix(line, " HTTP/1.1\r\n") + " " + strings.TrimPrefix(strings.TrimSpace(host), "Host: ")
			_, _ = io.WriteString(c, reply(200, ""))
		}
	})
	_, port, _ := net.SplitHostPort(s.Addr().String())
	path := newClient(t, s.url())
	virtual := newClient(t, "http://localhost:"+port, func(o *Options) { o.PathStyle = false })
	address := newClient(t, s.url(), func(o *Options) { o.PathStyle = false })

	cases := []struct {
		name   string
		c      *Client
		bucket string
		key    string
		query  []Param
		want   string
	}{
		{"service", path, "", "", nil, "/"},
		{"bucket", path, "b", "", nil, "/b"},
		{"bare parameter", path, "b", "", []Param{{Name: "uploads", Bare: true}}, "/b?uploads"},
		{"empty value", path, "b", "", []Param{{Name: "prefix"}}, "/b?prefix="},
		{"values", path, "b", "", []Param{{Name: "prefix", Value: "a b/é+&="}, {Name: "x", Value: "~"}}, "/b?prefix=a%20b%2F%C3%A9%2B%26%3D&x=~"},
		{"plain", path, "b", "a/b.txt", nil, "/b/a/b.txt"},
		{"double slash", path, "b", "a//b", nil, "/b/a//b"},
		{"leading slash", path, "b", "/a", nil, "/b//a"},
		{"trailing slash", path, "b", "a/", nil, "/b/a/"},
		{"dots", path, "b", "a/../../c/./d", nil, "/b/a/../../c/./d"},
		{"escaped slash", path, "b", "a%2Fb", nil, "/b/a%252Fb"},
		{"unicode", path, "b", "grüße/日本", nil, "/b/gr%C3%BC%C3%9Fe/%E6%97%A5%E6%9C%AC"},
		{"not utf-8", path, "b", "\xff\x00", nil, "/b/%FF%00"},
		{"question mark", path, "b", "a?b#c", nil, "/b/a%3Fb%23c"},
		{"plus and space", path, "b", "a+b c", nil, "/b/a%2Bb%20c"},
		{"sub-delimiters", path, "b", "'()*!$&,;=:@\\", nil, "/b/%27%28%29%2A%21%24%26%2C%3B%3D%3A%40%5C"},
		{"line break", path, "b", "a\r\nX: y", nil, "/b/a%0D%0AX%3A%20y"},
		{"virtual host", virtual, "b", "a//b", nil, "/a//b"},
		{"virtual host, bucket", virtual, "b", "", []Param{{Name: "acl", Bare: true}}, "/?acl"},
		{"upper case is lost before a host", virtual, "Data", "k", nil, "/Data/k"},
		{"no name of a host", virtual, "a_b", "k", nil, "/a_b/k"},
		{"no end of a name", virtual, "data.", "k", nil, "/data./k"},
		{"no beginning of a name", virtual, "-data", "k", nil, "/-data/k"},
		{"too long a name", virtual, strings.Repeat("d", 64), "k", nil, "/" + strings.Repeat("d", 64) + "/k"},
		{"a dot inside", virtual, "a.b", "k", nil, "/k"},
		{"a key that is the administration", virtual, "b", "minio/admin/v3/import-iam", nil, "/b/minio/admin/v3/import-iam"},
		{"another one", virtual, "b", "rustfs", nil, "/b/rustfs"},
		{"only looks so", virtual, "b", "minios/a", nil, "/minios/a"},
		{"address cannot have a bucket before it", address, "b", "k", nil, "/b/k"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := do(t, tc.c, &Request{Method: http.MethodGet, Bucket: tc.bucket, Key: tc.key, Query: tc.query})
			if err != nil {
				t.Fatal(err)
			}
			host := "127.0.0.1:" + port
			if tc.c == virtual {
				host = "localhost:" + port
				if !strings.HasPrefix(tc.want+"/", "/"+tc.bucket+"/") {
					host = tc.bucket + "." + host
				}
			}
			if got, want := <-lines, "GET "+tc.want+" "+host; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	for s, want := range map[string]string{
		"http://h":           "h:80 h",
		"http://h:80":        "h:80 h",
		"https://H/":         "h:443 h",
		"https://h:9000":     "h:9000 h:9000",
		"http://[::1]:9000":  "[::1]:9000 [::1]:9000",
		"https://[::1]":      "[::1]:443 [::1]",
		"ftp://h":            "",
		"h:9000":             "",
		"http://":            "",
		"http://h/path":      "",
		"http://u:p@h":       "",
		"http://h?x=1":       "",
		"https://h:9000/#x":  "",
		"http://h:port":      "",
		"http://h\r\nX: y:1": "",
	} {
		e, err := parseEndpoint(s)
		got := ""
		if err == nil {
			got = e.addr() + " " + e.host("")
		}
		if got != want {
			t.Errorf("%q: got %q, %v; want %q", s, got, err, want)
		}
	}
}

func TestDottedBucketStaysInThePathUnderTLS(t *testing.T) {
	e := endpoint{secure: true, name: "s3.example.com", port: "443"}
	if host, path := e.locate(false, "a.b", "k"); host != "s3.example.com" || path != "/a.b/k" {
		t.Errorf("got %s %s", host, path)
	}
	e = endpoint{name: "s3.example.com", port: "80"}
	if host, path := e.locate(false, "a.b", "k"); host != "a.b.s3.example.com" || path != "/k" {
		t.Errorf("got %s %s", host, path)
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1")
	for name, r := range map[string]*Request{
		"method":             {Method: "GET /x HTTP/1.1\r\nA:"},
		"no method":          {},
		"key without bucket": {Method: "GET", Key: "k"},
		"bucket with slash":  {Method: "GET", Bucket: "a/b"},
		"bucket of dots":     {Method: "GET", Bucket: ".."},
		"line break":         {Method: "GET", Header: []Field{{Name: "x-a", Value: "1\r\nHost: evil"}}},
		"NUL":                {Method: "GET", Header: []Field{{Name: "x-a", Value: "\x00"}}},
		"name":               {Method: "GET", Header: []Field{{Name: "x a", Value: "1"}}},
		"capitals":           {Method: "GET", Header: []Field{{Name: "X-A", Value: "1"}}},
		"framing":            {Method: "GET", Header: []Field{{Name: "transfer-encoding", Value: "chunked"}}},
		"length":             {Method: "GET", Header: []Field{{Name: "content-length", Value: "1"}}},
		"signature":          {Method: "GET", Header: []Field{{Name: "authorization", Value: "x"}}},
	} {
		if _, err := c.Do(t.Context(), r); err == nil || !strings.Contains(err.Error(), errRequest.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPayloadHeaders: what goes along with a body, per mode and size.
func TestPayloadHeaders(t *testing.T) {
	const aws, own = "https://s3.eu-west-1.amazonaws.com", "https://store.example"
	lock := Field{Name: "x-amz-object-lock-mode", Value: "GOVERNANCE"}
	gzip := Field{Name: "content-encoding", Value: "gzip"}
	small, large := int64(1000), int64(100_000)
	for name, tc := range map[string]struct {
		endpoint string
		mode     PayloadMode
		size     int64
		query    []Param
		header   []Field
		want     string
	}{
		"small":               {own, Auto, small, nil, nil, "content-length: 1000"},
		"small, trailer":      {own, Trailer, small, nil, nil, "content-length: 1000, x-amz-checksum-crc64nvme: YK+tF3gdycc="},
		"small part, trailer": {own, Trailer, small, []Param{{Name: "uploadId", Value: "u"}}, nil, "content-length: 1000, x-amz-checksum-crc64nvme: YK+tF3gdycc="},
		"small, other sum": {own, Trailer, small, nil, []Field{{Name: "x-amz-checksum-crc32", Value: "x"}},
			"content-length: 1000, x-amz-checksum-crc32: x"},
		"small, locked":      {own, Chunks, small, nil, []Field{lock}, "content-length: 1000, content-md5: y+y9sP3VzsHiQkk7YAjMeQ==, x-amz-object-lock-mode: GOVERNANCE"},
		"large, trailer":     {own, Trailer, large, nil, nil, "content-length: 100053, x-amz-decoded-content-length: 100000, x-amz-trailer: x-amz-checksum-crc64nvme"},
		"large, gzip":        {own, Trailer, large, nil, []Field{gzip}, "content-encoding: gzip, content-length: 100053, x-amz-decoded-content-length: 100000, x-amz-trailer: x-amz-checksum-crc64nvme"},
		"large, AWS":         {aws, Trailer, large, nil, nil, "content-encoding: aws-chunked, content-length: 100053, x-amz-decoded-content-length: 100000, x-amz-trailer: x-amz-checksum-crc64nvme"},
		"large, AWS, gzip":   {aws, Trailer, large, nil, []Field{gzip}, "content-encoding: aws-chunked,gzip, content-length: 100053, x-amz-decoded-content-length: 100000, x-amz-trailer: x-amz-checksum-crc64nvme"},
		"large, unsigned":    {own, InsecureUnsigned, large, nil, nil, "content-length: 100000"},
		"setting, trailer":   {own, Trailer, large, []Param{{Name: "tagging", Bare: true}}, nil, "content-length: 100000"},
		"large, one SHA-256": {own, Hash, large, nil, nil, "content-length: 100000"},
	} {
		c := newClient(t, tc.endpoint, func(o *Options) { o.Payload = tc.mode; o.Credentials = static{} })
		r := put(&stream{n: tc.size, piece: 1000, again: true})
		r.Query, r.Header = tc.query, tc.header
		p, err := c.prepare(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, f := range c.headers(r, p, c.end) {
			if f.Name != "accept-encoding" && f.Name != "user-agent" {
				got = append(got, f.Name+": "+f.Value)
			}
		}
		slices.Sort(got)
		if text := strings.Join(got, ", "); text != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, text, tc.want)
		}
	}
}

func TestSettingThatCannotBeHashedInAdvanceIsRefused(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1", func(o *Options) { o.Payload = Trailer })
	r := put(&stream{n: 100_000, piece: 1000})
	r.Query = []Param{{Name: "tagging", Bare: true}}
	if _, err := c.Do(t.Context(), r); err == nil {
		t.Error("sent")
	}
}

// AWS has nothing but buckets below its paths: there every key may stand behind the host.
func TestOtherStoresKeepPathsForThemselves(t *testing.T) {
	for s, want := range map[string]bool{
		"https://s3.eu-west-1.amazonaws.com": false, "https://s3.cn-north-1.amazonaws.com.cn": false, "https://minio.example:9000": true, "http://127.0.0.1:9000": true,
	} {
		e, err := parseEndpoint(s)
		if err != nil {
			t.Fatal(err)
		}
		for path, own := range map[string]bool{"minio": true, "minio/admin/v3/info": true, "rustfs/admin": true, "minios": false, "/minio/admin": false, "a/minio": false, "": false} {
			if got := e.keeps(path); got != (want && own) {
				t.Errorf("%s keeps %q: %v", s, path, got)
			}
		}
	}
}
