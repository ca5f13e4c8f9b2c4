package proxy

import (
	"context"
	"slices"

	"s3veil/keycache"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
)

// backgroundContext is used where no deadline but those of the callee applies: the engine does not tell when a client is gone.
var backgroundContext = context.Background()

// note is what an exchange leaves for its audit line.
type note struct {
	kid      string
	print    keycache.Fingerprint
	in, out  int64
	class    string
	bulk     s3xml.DeleteResult
	metadata bool // the metadata MAC did not fit
}

// deleted records the outcome of a DeleteObjects, a line per key.
func (n *note) deleted(done s3xml.DeleteResult, refused []s3xml.DeleteError) {
	n.bulk = done
	n.bulk.Errors = append(slices.Clone(done.Errors), refused...)
}

func (n *note) key(kid string, print keycache.Fingerprint) { n.kid, n.print = kid, print }

// telemetry is where an exchange reports to.
type telemetry struct{}

func newTelemetry(Options) telemetry { return telemetry{} }

func (telemetry) done(*exchange)      {}
func (telemetry) integrity(string)    {}
func (telemetry) keys(keycache.Event) {}

func (s *Server) observeUpstream(string) func(upstream.Event) { return nil }
