package main

import (
	"math"

	"s3veil/proxy"
)

const (
	// ownConnections come on top of the configured ones to each store: manifests, settings, probes.
	ownConnections = 64
	// ownFiles are the listeners, logs, the admin endpoint's connections and those to a KMS.
	ownFiles = 32
)

// storeConnections is how many connections to stores there can be at once.
func (l *loaded) storeConnections() int {
	n := l.Upstream.MaxConns + ownConnections
	for i := range l.Upstreams {
		n += l.Upstreams[i].MaxConns + ownConnections
	}
	return n
}

// clientConnections is how many connections of clients are taken: as many as wanted, unless they could use up the files that the
// process may open (0 for unknown). Beyond it clients are told to come back, while stores and probes go on; without room for both,
// each side has half.
func clientConnections(wanted, files, stores int) int {
	if files <= 0 {
		return wanted
	}
	return max(1, min(wanted, files-min(stores+ownFiles, files/2)))
}

// fitConnections lowers limits.connections to what the limit of open files lets the process serve.
func (s *service) fitConnections(o *proxy.Options) {
	files := int(min(openFiles(), math.MaxInt32))
	wanted := o.Limits.Connections
	if o.Limits.Connections = clientConnections(wanted, files, s.now.storeConnections()); o.Limits.Connections < wanted {
		s.log.Warn("fewer client connections than limits.connections: the process may open too few files (ulimit -n, LimitNOFILE)",
			"connections", o.Limits.Connections, "wanted", wanted, "files", files)
	}
}
