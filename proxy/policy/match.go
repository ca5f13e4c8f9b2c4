package policy

import (
	"strings"
	"unicode/utf8"
)

// Match reports whether name fits pattern: * any characters, none included, ? exactly one. It goes back to the last * only,
// so it takes at most len(pattern)·len(name) steps and no memory.
func Match(pattern, name string) bool {
	p, n := 0, 0
	star, resume := -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, n
			p++
			continue
		case p < len(pattern) && pattern[p] == '?':
			_, size := utf8.DecodeRuneInString(name[n:])
			p++
			n += size
			continue
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
			continue
		case star < 0:
			return false
		}
		_, size := utf8.DecodeRuneInString(name[resume:])
		resume += size
		p, n = star+1, resume
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// MapName maps a client-visible bucket name that fits pattern to the store's: the text that the first * of pattern matched,
// as little as possible, replaces the * of target. A target without * is the name itself, an empty one means that names
// stay as they are.
func MapName(pattern, target, name string) string {
	if target == "" {
		return name
	}
	before, after, ok := strings.Cut(target, "*")
	if !ok {
		return target
	}
	return before + starText(pattern, name) + after
}

// starText returns what the first * of pattern stands for in name; name itself when pattern has none.
func starText(pattern, name string) string {
	head, tail, ok := strings.Cut(pattern, "*")
	start := 0
	for range head { // a ? of the head is one character, whatever its size
		if start < len(name) {
			_, size := utf8.DecodeRuneInString(name[start:])
			start += size
		}
	}
	if !ok {
		return name
	}
	if !strings.ContainsAny(tail, "*?") {
		return name[start:max(start, len(name)-len(tail))]
	}
	for end := start; ; {
		if Match(tail, name[end:]) || end == len(name) {
			return name[start:end]
		}
		_, size := utf8.DecodeRuneInString(name[end:])
		end += size
	}
}

// UnmapName is the inverse of MapName: the client-visible name of a store's bucket, false where it does not fit or where
// several names could be meant (a pattern with more than one wildcard).
func UnmapName(pattern, target, storeName string) (string, bool) {
	if target == "" {
		return storeName, Match(pattern, storeName)
	}
	before, after, ok := strings.Cut(target, "*")
	if !ok {
		return pattern, storeName == target && !strings.ContainsAny(pattern, "*?")
	}
	text, fits := strings.CutPrefix(storeName, before)
	if !fits {
		return "", false
	}
	if text, fits = strings.CutSuffix(text, after); !fits {
		return "", false
	}
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return pattern, text == pattern && !strings.Contains(pattern, "?")
	}
	if strings.Contains(head, "?") || strings.ContainsAny(tail, "*?") {
		return "", false
	}
	return head + text + tail, true
}
