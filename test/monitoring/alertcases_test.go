//go:build integration

package monitoring

// alertCase is a piece of the past, a sample a minute, and what an alert makes of it.
type alertCase struct {
	alert, what string
	series      []string // selector and values as promtool has them; ~ stands for the labels of one target
	at          string
	fires       string // labels but severity; "" where it stays silent
}

const silent = ""

// alertCases has, for each alert, when it must fire and when it must not.
var alertCases = []alertCase{
	{"S3veilIntegrityFailure", "a failure", []string{`s3veil_integrity_failures_total{~,class="stream"} 0x10 1x20`}, "12m", "job=s3,class=stream"},
	{"S3veilIntegrityFailure", "the first scrape of a new replica shows it", []string{`s3veil_integrity_failures_total{~,class="stream"} _x10 1x20`}, "12m", "job=s3,class=stream"},
	{"S3veilIntegrityFailure", "long ago", []string{`s3veil_integrity_failures_total{~,class="stream"} 5x60`}, "40m", silent},
	{"S3veilIntegrityFailure", "classes with alerts of their own", []string{`s3veil_integrity_failures_total{~,class="plaintext"} 0+1x30`, `s3veil_integrity_failures_total{~,class="manifest-missing"} 0+1x30`}, "12m", silent},

	{"S3veilManifestMissing", "one", []string{`s3veil_integrity_failures_total{~,class="manifest-missing"} 0x10 1x20`}, "12m", "job=s3"},
	{"S3veilManifestMissing", "another class", []string{`s3veil_integrity_failures_total{~,class="manifest"} 0x10 1x20`}, "12m", silent},

	{"S3veilManifestsAtRisk", "a lifecycle rule", []string{`s3veil_reserved_at_risk_total{~,setting="lifecycle"} 0x10 1x80`}, "30m", "job=s3,setting=lifecycle"},
	{"S3veilManifestsAtRisk", "the first scrape of a new replica shows it", []string{`s3veil_reserved_at_risk_total{~,setting="replication"} _x10 1x80`}, "30m", "job=s3,setting=replication"},
	{"S3veilManifestsAtRisk", "long ago", []string{`s3veil_reserved_at_risk_total{~,setting="lifecycle"} 2x200`}, "3h", silent},

	{"S3veilPlaintextObject", "one", []string{`s3veil_integrity_failures_total{~,class="plaintext"} 0x10 1x20`}, "12m", "job=s3"},
	{"S3veilPlaintextObject", "another class", []string{`s3veil_integrity_failures_total{~,class="envelope"} 0x10 1x20`}, "12m", silent},

	{"S3veilForeignReads", "a read", []string{`s3veil_foreign_reads_total{~,format="s3ec-legacy"} 0x10 3x60`}, "30m", "job=s3,format=s3ec-legacy"},
	{"S3veilForeignReads", "none for an hour", []string{`s3veil_foreign_reads_total{~,format="s3ec-legacy"} 3x200`}, "2h", silent},

	{"S3veilKMSUnanswered", "for two minutes", []string{`s3veil_dependency_up{~,kind="kms",name="main"} 1x5 0x30`}, "9m", "job=s3,name=main"},
	{"S3veilKMSUnanswered", "for one minute", []string{`s3veil_dependency_up{~,kind="kms",name="main"} 1x5 0x30`}, "7m", silent},
	{"S3veilKMSUnanswered", "something else is down", []string{`s3veil_dependency_up{~,kind="upstream",name="main"} 0x30`}, "20m", silent},

	{"S3veilKMSOutage", "for eight minutes", []string{`s3veil_dependency_up{~,kind="kms",name="main"} 1x5 0x30`}, "15m", "job=s3,name=main"},
	{"S3veilKMSOutage", "for six minutes", []string{`s3veil_dependency_up{~,kind="kms",name="main"} 1x5 0x30`}, "12m", silent},
	{"S3veilKMSOutage", "an answer in between", []string{`s3veil_dependency_up{~,kind="kms",name="main"} 0x6 1 0x6`}, "13m", silent},

	{"S3veilKeyUnusable", "on every replica", []string{`s3veil_dependency_up{~,kind="key",name="main"} 0x10`, `s3veil_dependency_up{job="s3",instance="b",kind="key",name="main"} 0x10`}, "3m", "job=s3,name=main"},
	{"S3veilKeyUnusable", "on one replica", []string{`s3veil_dependency_up{~,kind="key",name="main"} 0x10`, `s3veil_dependency_up{job="s3",instance="b",kind="key",name="main"} 1x10`}, "3m", silent},

	{"S3veilExpiredKeysInUse", "a look-up", []string{`s3veil_cache_requests_total{~,cache="read",result="expired"} 0x10 4x20`}, "12m", "job=s3,cache=read"},
	{"S3veilExpiredKeysInUse", "hits and misses", []string{`s3veil_cache_requests_total{~,cache="read",result="hit"} 0+9x30`, `s3veil_cache_requests_total{~,cache="read",result="expired"} 4x30`}, "12m", silent},

	{"S3veilKMSRefuses", "denied", []string{`s3veil_kms_requests_total{~,key="main",op="unwrap",result="denied"} _x10 1x20`}, "12m", "job=s3,key=main,result=denied"},
	{"S3veilKMSRefuses", "an outage is no refusal", []string{`s3veil_kms_requests_total{~,key="main",op="unwrap",result="unavailable"} 0+5x30`, `s3veil_kms_requests_total{~,key="main",op="unwrap",result="throttled"} 0+5x30`, `s3veil_kms_requests_total{~,key="main",op="unwrap",result="ok"} 0+5x30`}, "12m", silent},

	{"S3veilKMSSlow", "two seconds a call", []string{`s3veil_kms_seconds_sum{~,key="main"} 0+2x60`, `s3veil_kms_seconds_count{~,key="main"} 0+1x60`}, "40m", "job=s3,key=main"},
	{"S3veilKMSSlow", "a tenth of a second", []string{`s3veil_kms_seconds_sum{~,key="main"} 0+0.1x60`, `s3veil_kms_seconds_count{~,key="main"} 0+1x60`}, "40m", silent},
	{"S3veilKMSSlow", "no calls", []string{`s3veil_kms_seconds_sum{~,key="main"} 9x60`, `s3veil_kms_seconds_count{~,key="main"} 1x60`}, "40m", silent},

	{"S3veilStoreDown", "for every replica", []string{`s3veil_dependency_up{~,kind="upstream",name="default"} 0x10`, `s3veil_dependency_up{job="s3",instance="b",kind="upstream",name="default"} 0x10`}, "3m", "job=s3,name=default"},
	{"S3veilStoreDown", "for one replica", []string{`s3veil_dependency_up{~,kind="upstream",name="default"} 0x10`, `s3veil_dependency_up{job="s3",instance="b",kind="upstream",name="default"} 1x10`}, "3m", silent},

	{"S3veilStoreErrors", "one in seven", []string{`s3veil_upstream_requests_total{~,upstream="default",code="200"} 0+60x30`, `s3veil_upstream_requests_total{~,upstream="default",code="503"} 0+10x30`}, "15m", "job=s3,upstream=default"},
	{"S3veilStoreErrors", "no answers", []string{`s3veil_upstream_requests_total{~,upstream="default",code="error"} 0+60x30`}, "15m", "job=s3,upstream=default"},
	{"S3veilStoreErrors", "objects that are not there", []string{`s3veil_upstream_requests_total{~,upstream="default",code="404"} 0+60x30`}, "15m", silent},
	{"S3veilStoreErrors", "two requests a minute", []string{`s3veil_upstream_requests_total{~,upstream="default",code="503"} 0+2x30`}, "15m", silent},

	{"S3veilClockSkew", "a minute and a half behind", []string{`s3veil_upstream_clock_offset_seconds{~} -90x30`}, "12m", "job=s3,instance=a"},
	{"S3veilClockSkew", "a second", []string{`s3veil_upstream_clock_offset_seconds{~} 1x30`}, "12m", silent},

	{"S3veilErrors", "SlowDown and an odd status", []string{`s3veil_requests_total{~,op="GetObject",code="200"} 0+60x30`, `s3veil_requests_total{~,op="GetObject",code="SlowDown"} 0+3x30`, `s3veil_requests_total{~,op="PutObject",code="502"} 0+3x30`}, "15m", "job=s3"},
	{"S3veilErrors", "what clients do wrong", []string{`s3veil_requests_total{~,op="GetObject",code="NoSuchKey"} 0+60x30`, `s3veil_requests_total{~,op="GetObject",code="AccessDenied"} 0+60x30`, `s3veil_requests_total{~,op="GetObject",code="ClientGone"} 0+60x30`}, "15m", silent},
	{"S3veilErrors", "one in a hundred", []string{`s3veil_requests_total{~,op="GetObject",code="200"} 0+99x30`, `s3veil_requests_total{~,op="GetObject",code="InternalError"} 0+1x30`}, "15m", silent},
	{"S3veilErrors", "two requests a minute", []string{`s3veil_requests_total{~,op="GetObject",code="InternalError"} 0+2x30`}, "15m", silent},

	{"S3veilSlow", "seconds", slow("HeadObject", "0+1x60", "0+60x60"), "40m", "job=s3"},
	{"S3veilSlow", "fast", slow("HeadObject", "0+59x60", "0+60x60"), "40m", silent},
	{"S3veilSlow", "objects take their time", slow("GetObject", "0+1x60", "0+60x60"), "40m", silent},
	{"S3veilSlow", "one request a minute", slow("HeadObject", "0x60", "0+1x60"), "40m", silent},

	{"S3veilMemoryNearLimit", "95 %", []string{`s3veil_memory_bytes{~,state="used"} 95x30`, `s3veil_memory_bytes{~,state="limit"} 100x30`}, "12m", "job=s3,instance=a"},
	{"S3veilMemoryNearLimit", "a peak", []string{`s3veil_memory_bytes{~,state="used"} 95x5 10x30`, `s3veil_memory_bytes{~,state="limit"} 100x30`}, "12m", silent},

	{"S3veilRequestsRefused", "again and again", []string{`s3veil_admission_refused_total{~} 0+1x30`}, "20m", "job=s3,instance=a"},
	{"S3veilRequestsRefused", "long ago", []string{`s3veil_admission_refused_total{~} 7x30`}, "20m", silent},

	{"S3veilFilesNearLimit", "nine tenths", []string{`process_open_fds{~} 900x30`, `process_max_fds{~} 1000x30`, `s3veil_build_info{~,version="1"} 1x30`}, "10m", "job=s3,instance=a"},
	{"S3veilFilesNearLimit", "few", []string{`process_open_fds{~} 100x30`, `process_max_fds{~} 1000x30`, `s3veil_build_info{~,version="1"} 1x30`}, "10m", silent},
	{"S3veilFilesNearLimit", "another program", []string{`process_open_fds{job="x"} 900x30`, `process_max_fds{job="x"} 1000x30`, `s3veil_build_info{~,version="1"} 1x30`}, "10m", silent},

	{"S3veilReplicaNotReady", "the audit log of one", []string{`s3veil_dependency_up{~,kind="audit",name="log"} 0x10`, `s3veil_dependency_up{job="s3",instance="b",kind="audit",name="log"} 1x10`}, "5m", "job=s3,instance=a,kind=audit,name=log"},
	{"S3veilReplicaNotReady", "an outage of the KMS alone takes none out of service", []string{`s3veil_dependency_up{~,kind="kms",name="main"} 0x10`, `s3veil_dependency_up{~,kind="key",name="main"} 1x10`}, "5m", silent},

	{"S3veilReplicaGone", "its target is there, it does not answer", []string{`up{~} 1x5 0x30`, `s3veil_build_info{~,version="1"} 1x5 _x30`}, "12m", "job=s3,instance=a"},
	{"S3veilReplicaGone", "another program", []string{`up{job="x",instance="c"} 0x30`, `s3veil_build_info{~,version="1"} 1x30`}, "12m", silent},
	{"S3veilReplicaGone", "scaled in: its target is gone", []string{`up{~} 1x5 _x30`, `s3veil_build_info{~,version="1"} 1x5 _x30`}, "12m", silent},

	{"S3veilAbsent", "nothing but others", []string{`up{job="x"} 1x30`}, "6m", "-"},
	{"S3veilAbsent", "one replica", []string{`s3veil_build_info{~,version="1"} 1x30`}, "6m", silent},

	{"S3veilRestarts", "three times", []string{`process_start_time_seconds{~} 1 1 2 2 3 3 4x30`, `s3veil_build_info{~,version="1"} 1x30`}, "10m", "job=s3,instance=a"},
	{"S3veilRestarts", "an update", []string{`process_start_time_seconds{~} 1 1 2x30`, `s3veil_build_info{~,version="1"} 1x30`}, "10m", silent},

	{"S3veilReloadFailed", "a fault", []string{`s3veil_config_reloads_total{~,result="failed"} 0x10 1x20`}, "12m", "job=s3,instance=a"},
	{"S3veilReloadFailed", "a reload", []string{`s3veil_config_reloads_total{~,result="ok"} 0x10 1x20`, `s3veil_config_reloads_total{~,result="failed"} 0x30`}, "12m", silent},

	{"S3veilCertificateExpires", "in eleven days", []string{`s3veil_certificate_expiry_timestamp_seconds{~,name="tls.cert_file"} 1000000x150`}, "2h", "job=s3,name=tls.cert_file"},
	{"S3veilCertificateExpires", "in two months", []string{`s3veil_certificate_expiry_timestamp_seconds{~,name="tls.cert_file"} 5000000x150`}, "2h", silent},

	{"S3veilCertificateUrgent", "tomorrow", []string{`s3veil_certificate_expiry_timestamp_seconds{~,name="tls.cert_file"} 100000x30`}, "5m", "job=s3,name=tls.cert_file"},
	{"S3veilCertificateUrgent", "it has ended", []string{`s3veil_certificate_expiry_timestamp_seconds{~,name="tls.cert_file"} 10x30`}, "5m", "job=s3,name=tls.cert_file"},
	{"S3veilCertificateUrgent", "in eleven days", []string{`s3veil_certificate_expiry_timestamp_seconds{~,name="tls.cert_file"} 1000000x30`}, "5m", silent},

	{"S3veilAuthFailures", "every other request", []string{`s3veil_auth_failures_total{~,code="SignatureDoesNotMatch"} 0+30x60`, `s3veil_requests_total{~,op="PutObject",code="200"} 0+60x60`}, "30m", "job=s3,code=SignatureDoesNotMatch"},
	{"S3veilAuthFailures", "one in ten", []string{`s3veil_auth_failures_total{~,code="SignatureDoesNotMatch"} 0+6x60`, `s3veil_requests_total{~,op="PutObject",code="200"} 0+60x60`}, "30m", silent},
	{"S3veilAuthFailures", "a scanner now and then", []string{`s3veil_auth_failures_total{~,code="AccessDenied"} 0+2x60`, `s3veil_requests_total{~,op="ListBuckets",code="AccessDenied"} 0+2x60`}, "30m", silent},

	{"S3veilForwardFailed", "half of them", []string{`s3veil_forward_total{~,result="failed"} 0+30x60`, `s3veil_forward_total{~,result="tunnelled"} 0+30x60`}, "30m", "job=s3"},
	{"S3veilForwardFailed", "refused is not failed", []string{`s3veil_forward_total{~,result="refused"} 0+30x60`, `s3veil_forward_total{~,result="failed"} 0x60`}, "30m", silent},

	{"S3veilAuditLinesLost", "a line", []string{`s3veil_audit_lines_total{~,result="lost"} 0x10 1x20`}, "12m", "job=s3,instance=a"},
	{"S3veilAuditLinesLost", "written ones", []string{`s3veil_audit_lines_total{~,result="written"} 0+9x30`, `s3veil_audit_lines_total{~,result="lost"} 0x30`}, "12m", silent},

	{"S3veilAuditUnwritable", "on one replica", []string{`s3veil_dependency_up{~,kind="audit",name="log"} 0x10`, `s3veil_dependency_up{job="s3",instance="b",kind="audit",name="log"} 1x10`}, "3m", "job=s3,instance=a"},
	{"S3veilAuditUnwritable", "something else is down", []string{`s3veil_dependency_up{~,kind="key",name="main"} 0x10`}, "3m", silent},
}

// slow are the series of a histogram: requests within a second, and all of them.
func slow(op, within, all string) (series []string) {
	for _, b := range [][2]string{{"0.5", within}, {"1", within}, {"2.5", all}, {"+Inf", all}} {
		series = append(series, `s3veil_request_seconds_bucket{~,op="`+op+`",le="`+b[0]+`"} `+b[1])
	}
	return append(series, `s3veil_request_seconds_count{~,op="`+op+`"} `+all)
}
