package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"s3veil/crypto/kms"
)

// Secret is a value of the configuration that cannot print itself, in any format or marshalling. Beside every key of this
// type stands <key>_file, the name of a file that holds the value.
type Secret string

const redacted = "[redacted]"

func (s Secret) mask() string {
	if s == "" {
		return ""
	}
	return redacted
}

// String hides the value.
func (s Secret) String() string { return s.mask() }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.mask()) }

// Format hides the value from every other verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.mask()) }

// MarshalText hides the value from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.mask()), nil }

// MarshalYAML hides the value.
func (s Secret) MarshalYAML() (any, error) { return s.mask(), nil }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.mask()) }

// reveal is the one way to the value.
func (s Secret) reveal() string { return string(s) }

// maxSecretFile bounds what is read from a secret file.
const maxSecretFile = 64 << 10

// readSecret returns the text of a file without the line break at its end. The file must be this process's alone.
func readSecret(path string) (Secret, error) {
	b, err := kms.ReadSecretFile(path, maxSecretFile)
	if err != nil {
		return "", err
	}
	defer clear(b)
	s := strings.TrimRight(string(b), "\r\n")
	if s == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return Secret(s), nil
}

// Path is the name of a file. Loading makes it absolute: relative names start from the folder of the configuration file,
// from the working directory when they come from the environment or a flag.
type Path string

// Duration is a span of time in the notation of Go: 300ms, 10s, 15m, 24h.
type Duration time.Duration

// UnmarshalText parses the notation of time.ParseDuration and refuses negative spans.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 10s, 15m or 24h", text)
	}
	if v < 0 {
		return errors.New("must not be negative")
	}
	*d = Duration(v)
	return nil
}

// String is the notation of the configuration.
func (d Duration) String() string { return time.Duration(d).String() }

// Size is a number of bytes: 65536, 64KiB, 5MiB, 1GiB.
type Size int64

// UnmarshalText parses a whole number with an optional unit B, KiB, MiB, GiB or TiB.
func (s *Size) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	number, shift := word, 0
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(word, u.name); ok {
			number, shift = strings.TrimSpace(n), u.shift
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is not a size such as 65536, 64KiB, 5MiB or 1GiB", text)
	}
	*s = Size(n << shift)
	return nil
}

// The order matters: B ends every other unit.
var sizeUnits = []struct {
	name  string
	shift int
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}}

// Share is a part of a whole, from 0 to 1.
type Share float64

// UnmarshalText parses a decimal number.
func (s *Share) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return fmt.Errorf("%q is not a share between 0 and 1, such as 0.01", text)
	}
	*s = Share(v)
	return nil
}
