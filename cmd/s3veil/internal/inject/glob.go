package inject

// glob matches a value against a pattern in which * stands for any number of bytes that fit and ? for one. The value may be a
// pattern itself: a * in it is only ever matched by a *, so that what matches never allows more than the pattern does.
func glob(pattern, value string, fits func(byte) bool) bool {
	for pattern != "" {
		switch c := pattern[0]; {
		case c == '*':
			for i := 0; ; i++ {
				if glob(pattern[1:], value[i:], fits) {
					return true
				}
				if i == len(value) || !fits(value[i]) {
					return false
				}
			}
		case value == "":
			return false
		case c == '?' && value[0] != '*' && fits(value[0]), c == value[0]:
			pattern, value = pattern[1:], value[1:]
		default:
			return false
		}
	}
	return value == ""
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
