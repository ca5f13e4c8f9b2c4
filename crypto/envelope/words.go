package envelope

import (
	"encoding/base64"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// whiteSpace is what header values are trimmed of.
const whiteSpace = " \t\r\n"

// encodedWord is an RFC 2047 encoded word in UTF-8: encoding and text are the groups. Other charsets stay as they are.
var encodedWord = regexp.MustCompile(`(?i:=\?utf-8\?([bq])\?)([!->@-~]*)\?=`)

// decodeWords decodes RFC 2047 encoded words in UTF-8 and drops white space between two of them. Some stores encode
// values that are not ASCII; what cannot be decoded is left as it is (FORMAT.md 6.1).
func decodeWords(value string) string {
	if !strings.Contains(value, "=?") {
		return value
	}
	var out strings.Builder
	end, afterWord := 0, false
	for _, m := range encodedWord.FindAllStringSubmatchIndex(value, -1) {
		word, ok := decodeWord(value[m[2]:m[3]], value[m[4]:m[5]])
		if !ok {
			continue
		}
		if between := value[end:m[0]]; !afterWord || strings.Trim(between, whiteSpace) != "" {
			out.WriteString(between)
		}
		out.WriteString(word)
		end, afterWord = m[1], true
	}
	out.WriteString(value[end:])
	return out.String()
}

// decodeWord decodes the text of one encoded word; ok is false if it is not valid in its encoding or not UTF-8.
func decodeWord(encoding, text string) (word string, ok bool) {
	if encoding == "b" || encoding == "B" {
		b, err := base64.StdEncoding.DecodeString(text)
		return string(b), err == nil && utf8.Valid(b)
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '_':
			b = append(b, ' ')
		case '=':
			if i+2 >= len(text) {
				return "", false
			}
			high, low := hexDigit(text[i+1]), hexDigit(text[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			b = append(b, byte(high<<4|low))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b), utf8.Valid(b)
}

// hexDigit returns the value of a hexadecimal digit of either case, or -1.
func hexDigit(c byte) int {
	if i := strings.IndexByte("0123456789ABCDEF", c); i >= 0 {
		return i
	}
	return strings.IndexByte("0123456789abcdef", c)
}

// fixdate is RFC 9110's IMF-fixdate.
const fixdate = "Mon, 02 Jan 2006 15:04:05 GMT"

// isFixdate reports an IMF-fixdate that a store which parses and prints it gives back unchanged.
func isFixdate(value string) bool {
	t, err := time.Parse(fixdate, value)
	return err == nil && t.Format(fixdate) == value
}
