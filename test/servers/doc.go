// Package servers starts and stops the real programs that s3veil is tested with: S3 stores and s3veil's own replicas run
// as separate processes on free loopback ports. The core has no testing.TB, so that other programs (the benchmark) can use
// it too; test.go holds the few helpers that tests want.
//
// A child never outlives its parent: on Linux it is killed when the parent dies, and every Stop ends the whole process
// group.
package servers
