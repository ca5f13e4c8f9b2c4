package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// verdict is what pytest said of one test, which its node id names; message is its last line where it failed.
type verdict struct {
	passed, skipped bool
	message         string
}

type report struct {
	Cases []struct {
		Class    string   `xml:"classname,attr"`
		Name     string   `xml:"name,attr"`
		Failures []reason `xml:"failure"`
		Errors   []reason `xml:"error"`
		Skipped  *reason  `xml:"skipped"`
	} `xml:"testsuite>testcase"`
}

type reason struct {
	Message string `xml:"message,attr"`
}

func readVerdicts(path string) (map[string]verdict, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseVerdicts(text)
}

// parseVerdicts reads pytest's JUnit report. A test that fails in its own body and one whose cleaning up fails count alike.
func parseVerdicts(text []byte) (map[string]verdict, error) {
	var r report
	if err := xml.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	out := map[string]verdict{}
	for _, c := range r.Cases {
		id := strings.ReplaceAll(c.Class, ".", "/") + ".py::" + c.Name
		v := out[id]
		bad := append(c.Failures, c.Errors...)
		v.skipped = v.skipped || c.Skipped != nil
		if len(bad) > 0 {
			v.message = strings.ReplaceAll(bad[0].Message, "\n", " ")
		}
		v.passed = !v.skipped && v.message == ""
		out[id] = v
	}
	return out, nil
}

// failures are the ids of the tests that failed, in order.
func failures(verdicts map[string]verdict) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(verdicts)) {
		if v := verdicts[id]; !v.passed && !v.skipped {
			out = append(out, id)
		}
	}
	return out
}

// unreachable reports the message of a test that found nobody to answer it.
func unreachable(message string) bool {
	return strings.Contains(message, "EndpointConnectionError") || strings.Contains(message, "ConnectionClosedError") ||
		strings.Contains(message, "ConnectionError") || strings.Contains(message, "ServiceUnavailable")
}

// categories sort tests by name; the first that fits decides.
var categories = []struct {
	name string
	fits *regexp.Regexp
}{
	{"lock", regexp.MustCompile(`object_lock|legal_hold|retention`)},
	{"SSE-C", regexp.MustCompile(`encrypted_transfer|encryption_sse_c|sse_c_`)},
	{"SSE-KMS", regexp.MustCompile(`sse_kms|kms`)},
	{"bucket encryption", regexp.MustCompile(`bucket_encryption|sse_s3|encryption`)},
	{"POST", regexp.MustCompile(`post_object`)},
	{"conditional writes", regexp.MustCompile(`ifmatch|ifnonmatch|ifnonematch|ifmodified|ifunmodified|if_match|if_none|conditional`)},
	{"range", regexp.MustCompile(`ranged|_range`)},
	{"checksums", regexp.MustCompile(`checksum|_cksum|crc|sha256|get_object_attributes|_md5`)},
	{"versioning", regexp.MustCompile(`version`)},
	{"tagging", regexp.MustCompile(`tag`)},
	{"multipart", regexp.MustCompile(`multipart|_part`)},
	{"copy", regexp.MustCompile(`copy`)},
	{"policy, ACL, ownership", regexp.MustCompile(`policy|acl|grant|access|public|owner|anon|cors|abac`)},
	{"lists", regexp.MustCompile(`list`)},
	{"lifecycle", regexp.MustCompile(`lifecycle`)},
	{"headers, signatures", regexp.MustCompile(`bad_|aws2|aws4|_create_`)},
	{"objects", regexp.MustCompile(`object|atomic|key`)},
}

func category(name string) string {
	for _, c := range categories {
		if c.fits.MatchString(name) {
			return c.name
		}
	}
	return "buckets"
}

// compare writes a table by category, each test that the bare store passes and s3veil fails, and each the other way round.
func compare(w io.Writer, bare, veil map[string]verdict) error {
	type row struct{ ran, bare, veil, both int }
	rows := map[string]*row{}
	var all row
	var lost, gained []string
	for _, name := range slices.Sorted(maps.Keys(bare)) {
		c := category(name[strings.LastIndex(name, ":")+1:])
		if rows[c] == nil {
			rows[c] = &row{}
		}
		if bare[name].skipped {
			continue
		}
		for _, r := range []*row{rows[c], &all} {
			r.ran++
			if bare[name].passed {
				r.bare++
			}
			if veil[name].passed {
				r.veil++
			}
			if bare[name].passed && veil[name].passed {
				r.both++
			}
		}
		if bare[name].passed && !veil[name].passed {
			lost = append(lost, fmt.Sprintf("- %s\t%s\t%s", c, name, veil[name].message))
		}
		if !bare[name].passed && veil[name].passed {
			gained = append(gained, fmt.Sprintf("+ %s\t%s\t%s", c, name, bare[name].message))
		}
	}
	rows["all"] = &all
	fmt.Fprintln(w, "| Category | Tests | Bare passes | s3veil passes | Of the bare store's |\n|---|---|---|---|---|")
	for _, c := range append(slices.DeleteFunc(slices.Sorted(maps.Keys(rows)), func(s string) bool { return s == "all" }), "all") {
		r := rows[c]
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d |\n", c, r.ran, r.bare, r.veil, r.both)
	}
	slices.Sort(lost)
	slices.Sort(gained)
	_, err := fmt.Fprintln(w, "\n"+strings.Join(append(lost, gained...), "\n"))
	return err
}
