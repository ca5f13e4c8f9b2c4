//go:build !race

package proxy

const poolsLeak = false
