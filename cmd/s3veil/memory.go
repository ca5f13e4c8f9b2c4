package main

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// cgroupLimits are the files that hold the memory limit of a container, of cgroup versions 2 and 1.
var cgroupLimits = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// memoryLimit is the soft memory limit of the Go runtime, 0 for none. Without GOMEMLIMIT it becomes nine tenths of the
// container's limit, so that the collector works harder before the kernel kills.
func memoryLimit(files []string) int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || n <= 0 || n > 1<<50 { // "max", or version 1's way to say so
			return 0
		}
		limit := n / 10 * 9
		debug.SetMemoryLimit(limit)
		return limit
	}
	return 0
}

// bodyMemory is limits.memory: as configured, else the default, at most half of the soft limit.
func (l *loaded) bodyMemory(limit int64) int64 {
	m := int64(l.Limits.Memory)
	if limit > 0 && !l.given("limits.memory") {
		m = max(min(m, limit/2), 4<<20)
	}
	return m
}
