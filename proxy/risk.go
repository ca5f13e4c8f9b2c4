package proxy

import (
	"s3veil/proxy/metrics"
	"s3veil/proxy/s3op"
	"s3veil/proxy/s3xml"
)

// warnOfRisk tells the operator of a setting that the store has just taken and that costs objects their manifests: a lifecycle
// rule that expires or moves what lies under the reserved prefix, or a replication that leaves it out (CLIENTS.md 5). The
// setting is the client's and the store's business all the same.
func (x *exchange) warnOfRisk(doc []byte) {
	if x.bucket.reserved != x.bucket.name && !x.st.keepsForOthers(&x.bucket) {
		return // nothing of s3veil's lies here
	}
	switch x.req.Op {
	case s3op.PutBucketLifecycleConfiguration:
		if rule, reaches := s3xml.LifecycleReaches(doc); reaches {
			x.s.metrics.AtRisk(metrics.RiskLifecycle)
			x.s.log.Warn("a lifecycle rule expires or moves what s3veil keeps in the bucket", "request_id", x.id, "client", x.client.name, "bucket", x.bucket.visible, "rule", rule, "prefix", s3op.ReservedName+"/")
		}
	case s3op.PutBucketReplication:
		if s3xml.ReplicationLeavesOut(doc) {
			x.s.metrics.AtRisk(metrics.RiskReplication)
			x.s.log.Warn("replication leaves out what s3veil keeps in the bucket", "request_id", x.id, "client", x.client.name, "bucket", x.bucket.visible, "prefix", s3op.ReservedName+"/")
		}
	}
}
