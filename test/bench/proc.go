package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cpuSeconds is what a process has used so far, user and system. Its threads' times have nanoseconds, its own has ticks of
// 10 ms; threads that have ended, which Go's seldom do, are in the latter only.
func cpuSeconds(pid int) (float64, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	var ns float64
	for _, name := range threads {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has just ended
		}
		fields := strings.Fields(string(b))
		if len(fields) == 0 {
			return 0, fmt.Errorf("%s is empty", name)
		}
		v, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return 0, err
		}
		ns += v
	}
	if ns == 0 {
		return 0, fmt.Errorf("no thread of %d tells its CPU time", pid)
	}
	return ns / 1e9, nil
}

// resetPeak makes peakRSS start anew.
func resetPeak(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o200)
}

// peakRSS is the largest resident size since resetPeak, in bytes.
func peakRSS(pid int) int64 { return statusBytes(pid, "VmHWM:") }

// residentSize is what is resident now, in bytes.
func residentSize(pid int) int64 { return statusBytes(pid, "VmRSS:") }

func statusBytes(pid int, field string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}
