// Package lifecycle restarts s3veil behind a real load balancer while clients work, and asks what docs/OPERATIONS.md promises
// of that.
package lifecycle
