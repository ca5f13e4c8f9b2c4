package main

import (
	"crypto/x509"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// noteEnd remembers when a chain of certificates that the setting at path names ends: with the first of them.
func (l *loaded) noteEnd(path string, chain [][]byte) {
	var first time.Time
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err == nil && (first.IsZero() || c.NotAfter.Before(first)) {
			first = c.NotAfter
		}
	}
	if first.IsZero() {
		return
	}
	if l.ends == nil {
		l.ends = map[string]time.Time{}
	}
	l.ends[path] = first
}

// warnOfEnded names the certificates that are taken although they have ended: whoever checks them does not connect.
func warnOfEnded(log *slog.Logger, ends map[string]time.Time, now time.Time) {
	for _, name := range slices.Sorted(maps.Keys(ends)) {
		if end := ends[name]; !end.After(now) {
			log.Warn("a certificate has ended, connections that depend on it fail", "name", name, "ended", end.Format(time.RFC3339))
		}
	}
}

// certificateEnds shows when the certificates of the configuration in force end. The zero value shows none.
type certificateEnds struct {
	current atomic.Pointer[map[string]time.Time]
}

func (c *certificateEnds) store(ends map[string]time.Time) { c.current.Store(&ends) }

var certificateDesc = prometheus.NewDesc("s3veil_certificate_expiry_timestamp_seconds",
	"When a certificate of the configuration ends, by the setting that names it.", []string{"name"}, nil)

// Describe implements prometheus.Collector.
func (c *certificateEnds) Describe(ch chan<- *prometheus.Desc) { ch <- certificateDesc }

// Collect implements prometheus.Collector.
func (c *certificateEnds) Collect(ch chan<- prometheus.Metric) {
	ends := c.current.Load()
	if ends == nil {
		return
	}
	for name, end := range *ends {
		ch <- prometheus.MustNewConstMetric(certificateDesc, prometheus.GaugeValue, float64(end.Unix()), name)
	}
}
