//go:build race

package sigv4

// poolsLeak: under the race detector sync.Pool drops items at random, so allocations say nothing.
const poolsLeak = true
