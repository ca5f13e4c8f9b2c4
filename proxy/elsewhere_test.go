package proxy

import (
	"strings"
	"testing"

	"s3veil/proxy/policy"
	"s3veil/proxy/s3op"
)

// What a client sends as a document can name buckets, to which the store writes with s3veil's rights. They are held against the
// client's rules, by the names that clients see.
func TestDocumentsReachNoOtherBucket(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		all := []s3op.Class{s3op.Read, s3op.Write, s3op.Delete, s3op.Admin}
		set.Clients[0].Policy.Rules = []policy.Rule{
			{Buckets: []string{"data", "logs"}, Actions: all},
			{Buckets: []string{"partly"}, Prefixes: []string{"in/"}, Actions: all},
			{Buckets: []string{"seen"}, Actions: []s3op.Class{s3op.Read}},
		}
		set.Buckets = []Bucket{{Name: "logs", StoreName: "store-logs", Key: "main"}, {Name: "data", Key: "main"}, {Name: "partly", Key: "main"},
			{Name: "seen", Key: "main"}, {Name: "victim", Key: "main"}}
	})
	settings := map[string]string{
		"?replication":    "<ReplicationConfiguration><Rule><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::%</Bucket></Destination></Rule></ReplicationConfiguration>",
		"?logging":        "<BucketLoggingStatus><LoggingEnabled><TargetBucket>%</TargetBucket><TargetPrefix>p</TargetPrefix></LoggingEnabled></BucketLoggingStatus>",
		"?inventory&id=a": "<InventoryConfiguration><Destination><S3BucketDestination><Bucket>arn:aws:s3:::%</Bucket></S3BucketDestination></Destination></InventoryConfiguration>",
		"?analytics&id=a": "<AnalyticsConfiguration><S><Destination><S3BucketDestination><x:Bucket xmlns:x='u'>arn:aws:s3:::<![CDATA[%]]></x:Bucket></S3BucketDestination></Destination></S></AnalyticsConfiguration>",
	}
	for query, form := range settings {
		for name, ok := range map[string]bool{"data": true, "store-logs": true, "logs": false, "partly": false, "seen": false, "victim": false, "unknown": false, "": false,
			"victim:data": false, "data:x:data": false, "data/../victim": false, "victim<x/>data": false} {
			f.store.Forget()
			resp, doc := f.do("PUT", "/data"+query, []byte(strings.ReplaceAll(form, "%", name)))
			code := "AccessDenied"
			if strings.Contains(name, "<") && !strings.Contains(form, "CDATA") {
				code = "MalformedXML"
			}
			if reached := len(f.store.Calls()) > 0; reached != ok || !ok && !strings.Contains(string(doc), "<Code>"+code) {
				t.Errorf("%s to %q: %d, the store asked: %v; %s", query, name, resp.StatusCode, reached, doc)
			}
		}
		f.store.Forget()
		if resp, doc := f.do("PUT", "/data"+query, []byte("<!DOCTYPE a>"+strings.ReplaceAll(form, "%", "data"))); resp.StatusCode != 400 || len(f.store.Calls()) > 0 {
			t.Errorf("%s with a document type: %d %s", query, resp.StatusCode, doc)
		}
	}
}

// Nor do they have the store write below the reserved prefix, or to what no rule can name.
func TestDocumentsReachNoReservedPrefix(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets = []Bucket{{Name: "data*", Key: "main"}} })
	settings := map[string]string{
		"PUT ?logging":        "<BucketLoggingStatus><LoggingEnabled><TargetBucket>data</TargetBucket><TargetPrefix>%</TargetPrefix></LoggingEnabled></BucketLoggingStatus>",
		"PUT ?inventory&id=a": "<InventoryConfiguration><Filter><Prefix>.s3veil/</Prefix></Filter><Destination><S3BucketDestination><Prefix>%</Prefix><Bucket>arn:aws:s3:::data</Bucket></S3BucketDestination></Destination></InventoryConfiguration>",
	}
	for target, form := range settings {
		method, query, _ := strings.Cut(target, " ")
		for prefix, ok := range map[string]bool{"": true, "logs/": true, "s3veil/": true, ".s3veil": false, ".s3veil/m/": false, "a/../.S3veil/": false, "../victim/": false} {
			f.store.Forget()
			resp, doc := f.do(method, "/data"+query, []byte(strings.ReplaceAll(form, "%", prefix)))
			if reached := len(f.store.Calls()) > 0; reached != ok || !ok && resp.StatusCode != 403 {
				t.Errorf("%s below %q: %d, the store asked: %v; %s", target, prefix, resp.StatusCode, reached, doc)
			}
		}
	}
	f.store.Forget()
	climbing := "<BucketLoggingStatus><LoggingEnabled><TargetBucket>data/../victim</TargetBucket></LoggingEnabled></BucketLoggingStatus>"
	if resp, doc := f.do("PUT", "/data?logging", []byte(climbing)); resp.StatusCode != 403 || len(f.store.Calls()) > 0 {
		t.Errorf("a path that a pattern of buckets fits: %d %s", resp.StatusCode, doc)
	}
	table := "<MetadataTableConfiguration><S3TablesDestination><TableBucketArn>arn:aws:s3tables:us-east-1:1:bucket/data</TableBucketArn><TableName>a</TableName></S3TablesDestination></MetadataTableConfiguration>"
	if resp, doc := f.do("POST", "/data?metadataTable", []byte(table)); resp.StatusCode != 403 || len(f.store.Calls()) > 0 {
		t.Errorf("a table: %d %s", resp.StatusCode, doc)
	}
}

// The result of a restoring query goes to a bucket of the document's choice: such documents do not go up, plain ones do, anew.
func TestRestoresWriteNowhere(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte("plain"))
	f.store.Forget()
	output := "<OutputLocation><S3><BucketName>victim</BucketName><Prefix>.s3veil/</Prefix></S3></OutputLocation>"
	for body, status := range map[string]int{
		"<RestoreRequest>" + output + "</RestoreRequest>":                                                    501,
		"<RestoreRequest><Days>1</Days>" + output + "</RestoreRequest>":                                      501,
		"<x:RestoreRequest xmlns:x='u'><x:OutputLocation/></x:RestoreRequest>":                               501,
		"<RestoreRequest><Type>SELECT</Type></RestoreRequest>":                                               501,
		"<RestoreRequest><SelectParameters/></RestoreRequest>":                                               501,
		"<RestoreRequest><outputLocation/></RestoreRequest>":                                                 400,
		"<RestoreRequest><Days><OutputLocation/></Days></RestoreRequest>":                                    400,
		"<RestoreRequest><GlacierJobParameters><OutputLocation/></GlacierJobParameters></RestoreRequest>":    400,
		"<RestoreRequest><GlacierJobParameters><Tier><Type/></Tier></GlacierJobParameters></RestoreRequest>": 400,
		"<RestoreRequest><Days>1</Days><Days>2</Days></RestoreRequest>":                                      400,
		"<Other/>": 400, "<!DOCTYPE a><RestoreRequest/>": 400, "Days=1": 400,
	} {
		if resp, doc := f.do("POST", "/data/key?restore", []byte(body)); resp.StatusCode != status {
			t.Errorf("%s: %d %s", body, resp.StatusCode, doc)
		}
	}
	if calls := f.store.Calls(); len(calls) > 0 {
		t.Errorf("the store saw %s %s", calls[0].Method, calls[0].Target)
	}
	f.do("POST", "/data/key?restore", []byte("<RestoreRequest><Days>1</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>"))
	calls := f.store.Calls()
	want := `<Days>1</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>`
	if len(calls) != 1 || !strings.HasSuffix(string(calls[0].Body), want) {
		t.Errorf("%+v", calls)
	}
}

// A mapping that leaves nothing of a name, or what no bucket is called, names no bucket: without one a request to a store is about
// all of its buckets.
func TestMappedNamesThatAreNone(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Buckets = append([]Bucket{{Name: "team-*", StoreName: "*", Key: "main"}, {Name: "*-enc", StoreName: "*", Key: "main"},
			{Name: "tenant-literal", StoreName: "other:data", Key: "main"}}, set.Buckets...)
	})
	f.store.Forget()
	for _, name := range []string{"team-", "team-.", "team-.x", "team--x", "team-ab"} {
		for _, target := range []string{"GET ", "PUT ", "HEAD ", "DELETE ", "GET ?acl", "GET ?location", "POST ?delete", "PUT /key", "GET /key", "OPTIONS /key"} {
			method, rest, _ := strings.Cut(target, " ")
			if resp, doc := f.do(method, "/"+name+rest, nil, "origin", "x"); resp.StatusCode != 400 {
				t.Errorf("%s /%s%s: %d %s", method, name, rest, resp.StatusCode, doc)
			}
		}
	}
	if resp, doc := f.do("PUT", "/data/copy", nil, "x-amz-copy-source", "/team-/key"); resp.StatusCode != 400 {
		t.Errorf("copy: %d %s", resp.StatusCode, doc)
	}
	for _, c := range f.store.Calls() {
		if !strings.HasPrefix(c.Target, "/data/") {
			t.Errorf("the store saw %s %s", c.Method, c.Target)
		}
	}
	f.store.Forget()
	for _, name := range []string{"team-x-s3alias", "team-x--x-s3", "team-x.mrap", "x-s3alias-enc", "x--x-s3-enc", "x.mrap-enc"} {
		if resp, doc := f.do("GET", "/"+name, nil); resp.StatusCode < 400 || len(f.store.Calls()) > 0 {
			t.Errorf("/%s, no bucket of its own: %d %s", name, resp.StatusCode, doc)
		}
	}
	if resp, _ := f.do("HEAD", "/tenant-literal", nil); len(f.store.Calls()) != 1 || !strings.HasPrefix(f.store.Calls()[0].Target, "/other%3Adata") {
		t.Errorf("a name in full is the operator's: %d %+v", resp.StatusCode, f.store.Calls())
	}
	if resp, doc := f.do("GET", "/team-data", nil); resp.StatusCode != 200 {
		t.Errorf("a good name: %d %s", resp.StatusCode, doc)
	}
}

// MinIO and RustFS have their administration below a path that reads like a bucket. What a client may send to an object of that
// name, tags for one, would be an import of users, with s3veil's signature.
func TestBucketsThatAreTheAdministrationOfAStore(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Buckets = append([]Bucket{{Name: "team-*", StoreName: "*", Key: "main"}, {Name: "minio", Key: "main"}, {Name: "rustfs", Key: "main"}}, set.Buckets...)
	})
	f.store.Forget()
	for _, name := range []string{"minio", "rustfs", "team-minio", "team-rustfs"} {
		for _, target := range []string{"PUT /admin/v3/import-iam?tagging", "PUT /admin/v3/import-iam", "GET /admin/v3/info?acl", "GET /v2/metrics/cluster", "POST /admin/v3/service?restore", "PUT ", "OPTIONS /admin"} {
			method, rest, _ := strings.Cut(target, " ")
			if resp, doc := f.do(method, "/"+name+rest, []byte("zip"), "origin", "x"); resp.StatusCode != 400 {
				t.Errorf("%s /%s%s: %d %s", method, name, rest, resp.StatusCode, doc)
			}
		}
		if resp, doc := f.do("PUT", "/data/copy", nil, "x-amz-copy-source", "/"+name+"/admin/v3/export-iam"); resp.StatusCode != 400 {
			t.Errorf("copy of %s: %d %s", name, resp.StatusCode, doc)
		}
	}
	for _, c := range f.store.Calls() {
		if !strings.HasPrefix(c.Target, "/data/") {
			t.Errorf("the store saw %s %s", c.Method, c.Target)
		}
	}
	f.must("PUT", "/data/minio/admin/key", []byte("a key may be called so"))
}
