//go:build integration

package monitoring

// injectorCases are those of the injector's alerts.
var injectorCases = []alertCase{
	{"S3veilInjectorDown", "nothing but others", []string{`up{job="x"} 1x30`, `s3veil_build_info{~,version="1"} 1x30`}, "5m", "-"},
	{"S3veilInjectorDown", "all of them stopped answering", []string{`up{~} 1x5 0x30`, `s3veil_inject_ready{~} 1x5 stale _x30`}, "10m", "-"},
	{"S3veilInjectorDown", "one is left", []string{`up{~} 0x30`, `s3veil_inject_ready{job="s3",instance="b"} 1x30`}, "10m", silent},
	{"S3veilInjectorDown", "a minute", []string{`s3veil_inject_ready{~} 1x5 stale 1x30`}, "9m", silent},
	{"S3veilInjectorDown", "all of them run, and none is ready", []string{`s3veil_inject_ready{~} 1x5 0x30`, `s3veil_inject_ready{job="s3",instance="b"} 0x35`}, "10m", "job=s3"},
	{"S3veilInjectorDown", "one of two is ready", []string{`s3veil_inject_ready{~} 1x30`, `s3veil_inject_ready{job="s3",instance="b"} 0x30`}, "10m", silent},

	{"S3veilInjectorNotReady", "one of two", []string{`s3veil_inject_ready{~} 0x30`, `s3veil_inject_ready{job="s3",instance="b"} 1x30`}, "10m", "job=s3,instance=a"},
	{"S3veilInjectorNotReady", "on its way out", []string{`s3veil_inject_ready{~} 1x5 0x2 stale _x30`}, "12m", silent},

	{"S3veilInjectorTooLate", "once", []string{`s3veil_inject_reviews_total{~,result="abandoned"} 0x5 1x30`}, "8m", "job=s3"},
	{"S3veilInjectorTooLate", "once, later", []string{`s3veil_inject_reviews_total{~,result="abandoned"} 0x5 1x30`}, "20m", silent},
	{"S3veilInjectorTooLate", "answered ones", []string{`s3veil_inject_reviews_total{~,result="abandoned"} 0x30`, `s3veil_inject_reviews_total{~,result="refused"} 0+1x30`}, "10m", silent},

	{"S3veilInjectorReplicaGone", "its target is there, it does not answer", []string{`up{~} 1x5 0x30`, `s3veil_inject_certificate_expiry_timestamp_seconds{~} 1x5 _x30`}, "12m", "job=s3,instance=a"},
	{"S3veilInjectorReplicaGone", "it answers", []string{`up{~} 1x30`, `s3veil_inject_certificate_expiry_timestamp_seconds{~} 1x30`}, "12m", silent},
	{"S3veilInjectorReplicaGone", "another program", []string{`up{job="x",instance="c"} 0x30`, `s3veil_inject_certificate_expiry_timestamp_seconds{~} 1x30`}, "12m", silent},
	{"S3veilInjectorReplicaGone", "scaled in: its target is gone", []string{`up{~} 1x5 _x30`, `s3veil_inject_certificate_expiry_timestamp_seconds{~} 1x5 _x30`}, "12m", silent},

	{"S3veilInjectorFailing", "again and again", []string{`s3veil_inject_reviews_total{~,result="failed"} 0+1x30`}, "20m", "job=s3"},
	{"S3veilInjectorFailing", "once", []string{`s3veil_inject_reviews_total{~,result="failed"} 0x5 3x30`}, "10m", silent},
	{"S3veilInjectorFailing", "once, later", []string{`s3veil_inject_reviews_total{~,result="failed"} 0x5 3x30`}, "17m", silent},
	{"S3veilInjectorFailing", "what is refused has not failed", []string{`s3veil_inject_reviews_total{~,result="refused"} 0+1x30`, `s3veil_inject_reviews_total{~,result="failed"} 0x30`}, "20m", silent},

	{"S3veilInjectorRefusing", "a ReplicaSet that tries every 17 minutes", []string{`s3veil_inject_reviews_total{~,result="refused"} 0x5 1x17 2x17 3x17 4x17 5x17`}, "80m", "job=s3"},
	{"S3veilInjectorRefusing", "a mistake that was put right", []string{`s3veil_inject_reviews_total{~,result="refused"} 0x5 1 2 3 4x100`}, "30m", silent},
	{"S3veilInjectorRefusing", "a mistake that was put right, later", []string{`s3veil_inject_reviews_total{~,result="refused"} 0x5 1 2 3 4x100`}, "60m", silent},
	{"S3veilInjectorRefusing", "injected ones", []string{`s3veil_inject_reviews_total{~,result="injected"} 0+1x100`, `s3veil_inject_reviews_total{~,result="refused"} 7x100`}, "80m", silent},

	{"S3veilInjectorSlow", "two seconds", reviews("0+1x60", "0+10x60"), "40m", "job=s3"},
	{"S3veilInjectorSlow", "fast", reviews("0+10x60", "0+10x60"), "40m", silent},
	{"S3veilInjectorSlow", "one slow review", reviews("0x60", "0x5 1x60"), "17m", silent},
	{"S3veilInjectorSlow", "no reviews", reviews("0x60", "9x60"), "40m", silent},

	{"S3veilInjectorReloadFailed", "a fault", []string{`s3veil_inject_config_reloads_total{~,result="failed"} 0x10 1x20`}, "12m", "job=s3,instance=a"},
	{"S3veilInjectorReloadFailed", "the first scrape shows it", []string{`s3veil_inject_config_reloads_total{~,result="failed"} _x10 1x20`}, "12m", "job=s3,instance=a"},
	{"S3veilInjectorReloadFailed", "a reload", []string{`s3veil_inject_config_reloads_total{~,result="ok"} 0x10 1x20`, `s3veil_inject_config_reloads_total{~,result="failed"} 0x30`}, "12m", silent},

	{"S3veilInjectorCertificateExpiry", "in six days, on one replica", []string{`s3veil_inject_certificate_expiry_timestamp_seconds{~} 500000x60`, `s3veil_inject_certificate_expiry_timestamp_seconds{job="s3",instance="b"} 5000000x60`}, "15m", "job=s3"},
	{"S3veilInjectorCertificateExpiry", "none", []string{`s3veil_inject_certificate_expiry_timestamp_seconds{~} 0x60`}, "15m", "job=s3"},
	{"S3veilInjectorCertificateExpiry", "in a month", []string{`s3veil_inject_certificate_expiry_timestamp_seconds{~} 2592000x60`}, "30m", silent},
	{"S3veilInjectorCertificateExpiry", "the first minutes", []string{`s3veil_inject_certificate_expiry_timestamp_seconds{~} 0x3 7000000x60`}, "15m", silent},
}

// reviews are the series of a histogram: reviews within a second, and all of them.
func reviews(within, all string) (series []string) {
	for _, b := range [][2]string{{"0.3", within}, {"1", within}, {"3", all}, {"+Inf", all}} {
		series = append(series, `s3veil_inject_review_seconds_bucket{~,le="`+b[0]+`"} `+b[1])
	}
	return series
}
