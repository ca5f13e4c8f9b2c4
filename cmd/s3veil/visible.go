package main

import (
	"io"
	"strconv"
	"strings"
	"unicode"

	"s3veil/proxy/audit"
)

// visible writes lines of JSON that command no terminal; the text form quotes what does.
type visible struct{ io.Writer }

func (v visible) Write(line []byte) (int, error) {
	if _, err := v.Writer.Write(audit.AppendVisible(nil, line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// printable is text for one line of a terminal: what clients and stores have written (keys, ETags, encryption contexts, messages) makes
// no lines of its own and commands nothing.
func printable(text string) string {
	if !strings.ContainsFunc(text, hides) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hides(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hides reports a character that does not show as itself.
func hides(r rune) bool { return !unicode.IsPrint(r) }

// printableLines is printable for text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
