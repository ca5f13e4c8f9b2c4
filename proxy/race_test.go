//go:build race

package proxy

// poolsLeak: under the race detector sync.Pool drops items at random.
const poolsLeak = true
