package inject

// glob matches a value against a pattern in which * stands for any number of bytes that fit and ? for one. The value may be a
// pattern itself: a * in it is only ever matched by a *, so that what matches never allows more than the pattern does.
//
// Only the last * is ever tried anew: where an earlier one could stand for more, the last one can as well. So a value of a tenant's
// costs no more steps than its length times that of the pattern.
func glob(pattern, value string, fits func(byte) bool) bool {
	star, end := -1, 0 // behind the last * of the pattern, and behind what it stands for
	for p, v := 0, 0; p < len(pattern) || v < len(value); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			p++
			star, end = p, v
		case p < len(pattern) && v < len(value) && globByte(pattern[p], value[v], fits):
			p, v = p+1, v+1
		case star < 0 || end == len(value) || !fits(value[end]):
			return false
		default:
			end++
			p, v = star, end
		}
	}
	return true
}

// globByte matches one byte against one of a pattern that is no *.
func globByte(c, value byte, fits func(byte) bool) bool {
	if c == '?' {
		return value != '*' && fits(value)
	}
	return c == value
}

func anyByte(byte) bool { return true }

// labelByte are the bytes of one label of a host name.
func labelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
}

// allowed reports whether one of the patterns matches.
func allowed(patterns []string, value string, fits func(byte) bool) bool {
	for _, p := range patterns {
		if glob(p, value, fits) {
			return true
		}
	}
	return false
}
