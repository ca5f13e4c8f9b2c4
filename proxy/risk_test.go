package proxy

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"s3veil/proxy/proxytest"
)

// CLIENTS.md 5: settings that cost multipart objects their manifests pass, and are warned of in log and metric: those that the
// store has taken, of buckets in which manifests lie.
func TestSettingsThatEndangerManifestsAreWarnedOf(t *testing.T) {
	reg, log := prometheus.NewRegistry(), &lockedBuffer{}
	f := newFixture(t, func(set *Settings, o *Options) {
		o.Registerer, o.Log = reg, slog.New(slog.NewTextHandler(log, nil))
		set.Buckets = append([]Bucket{{Name: "apart", Key: "main", ReservedBucket: "kept"}}, set.Buckets...)
	})
	for _, name := range []string{"apart", "kept"} {
		f.store.CreateBucket(name, false)
	}
	status, taken := 200, ""
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		switch {
		case !c.Query.Has("lifecycle") && !c.Query.Has("replication"):
			return
		case status != 200:
			*a = *proxytest.Fail(status, "MalformedXML")
		default:
			*a = proxytest.Answer{Status: 200, Header: http.Header{}}
		}
		taken = string(c.Body)
	}})
	const (
		expires = `<LifecycleConfiguration><Rule><ID>clean up</ID><Status>Enabled</Status><Filter/><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>`
		logs    = `<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>`
		partly  = `<ReplicationConfiguration><Rule><Status>Enabled</Status><Prefix>data/</Prefix></Rule></ReplicationConfiguration>`
		wholly  = `<ReplicationConfiguration><Rule><Status>Enabled</Status><Prefix></Prefix></Rule></ReplicationConfiguration>`
	)
	for _, c := range []struct {
		target, doc, setting, line string
		status                     int
	}{
		{"/data?lifecycle", expires, "lifecycle", `client=app bucket=data rule="clean up"`, 200},
		{"/kept?lifecycle", expires, "lifecycle", "bucket=kept", 200},
		{"/data?lifecycle", logs, "lifecycle", "", 200},
		{"/apart?lifecycle", expires, "lifecycle", "", 200},
		{"/data?lifecycle", expires, "lifecycle", "", 400},
		{"/data?replication", partly, "replication", "replication leaves out", 200},
		{"/data?replication", wholly, "replication", "", 200},
		{"/apart?replication", partly, "replication", "", 200},
	} {
		status = c.status
		before, lines := count(t, reg, c.setting), len(log.String())
		if resp, doc := f.do("PUT", c.target, []byte(c.doc)); resp.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.target, resp.StatusCode, doc)
		}
		if taken != c.doc {
			t.Errorf("%s: the store got %q", c.target, taken)
		}
		warned := 0.0
		if c.line != "" {
			warned = 1
		}
		if got := count(t, reg, c.setting) - before; got != warned {
			t.Errorf("%s %s: counted %v times, want %v", c.target, c.doc, got, warned)
		}
		if line := log.String()[lines:]; !strings.Contains(line, c.line) || strings.Contains(line, "level=WARN") != (c.line != "") {
			t.Errorf("%s %s: log %q", c.target, c.doc, line)
		}
	}
}

func count(t *testing.T, reg *prometheus.Registry, setting string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "s3veil_reserved_at_risk_total" && m.Label[0].GetValue() == setting {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no sample of %s", setting)
	return 0
}

// CLIENTS.md 5: settings of a bucket are the store's. Documents and parameters arrive as they were sent, and so do the answers.
func TestSettingsOfBucketsPassAsTheyAre(t *testing.T) {
	f := newFixture(t, nil)
	var method, sent, query string
	stored := `<?xml version="1.0" encoding="UTF-8"?>` + "\n<Stored><A>1</A></Stored>"
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Bucket != "data" {
			return
		}
		method, sent, query = c.Method, string(c.Body), c.Query.Encode()
		*a = proxytest.Answer{Status: 200, Header: http.Header{}}
		if c.Method == "GET" {
			*a = proxytest.Answer{Status: 200, Header: http.Header{"Content-Type": {"application/xml"}}, Body: []byte(stored), Cut: -1}
		}
	}})
	for setting, doc := range map[string]string{
		"website=":            "<WebsiteConfiguration><IndexDocument><Suffix>i.html</Suffix></IndexDocument></WebsiteConfiguration>",
		"notification=":       "<NotificationConfiguration><QueueConfiguration><Queue>arn:aws:sqs:::q</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>",
		"replication=":        "<ReplicationConfiguration><Rule><Status>Enabled</Status><Prefix></Prefix></Rule></ReplicationConfiguration>",
		"id=daily&inventory=": "<InventoryConfiguration><Id>daily</Id><IsEnabled>true</IsEnabled></InventoryConfiguration>",
		"lifecycle=":          "<LifecycleConfiguration><Rule><Status>Enabled</Status><Prefix>logs/</Prefix></Rule></LifecycleConfiguration>",
		"cors=":               "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>",
		"logging=":            "<BucketLoggingStatus/>",
		"tagging=":            "<Tagging><TagSet/></Tagging>",
		"policy=":             `{"Version":"2012-10-17","Statement":[]}`,
	} {
		if f.must("PUT", "/data?"+setting, []byte(doc)); method != "PUT" || sent != doc || query != setting {
			t.Errorf("PUT %s: the store got %s %q of %q", setting, method, query, sent)
		}
		if resp, got := f.must("GET", "/data?"+setting, nil); string(got) != stored || method != "GET" || query != setting || resp.Header.Get("Content-Type") != "application/xml" {
			t.Errorf("GET %s: %s; the store got %s %q", setting, got, method, query)
		}
	}
}
