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
		{"/data?lifecycle", expires, "lifecycle", `bucket=data rule="clean up"`, 200},
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
