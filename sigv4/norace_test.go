//go:build !race

package sigv4

const poolsLeak = false
