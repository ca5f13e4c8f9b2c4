package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// cpuSeconds is what a process has used so far, user and system, in steps of 10 ms.
func cpuSeconds(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field may hold spaces and parentheses: count from its end.
	text := string(b)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	var ticks float64
	for _, f := range fields[11:13] {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, err
		}
		ticks += v
	}
	return ticks / 100, nil // USER_HZ
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
