package main

import (
	"strings"
	"testing"
)

const sample = `<testsuites><testsuite>
<testcase classname="a.b" name="test_multipart_copy_small"/>
<testcase classname="a.b" name="test_object_lock_put"><failure message="assert 1&#10;== 2"/></testcase>
<testcase classname="a.b" name="test_post_object_x"><skipped message="no"/></testcase>
<testcase classname="a.b" name="test_atomic_write"/>
<testcase classname="a.b" name="test_atomic_write"><error message="teardown"/></testcase>
</testsuite></testsuites>`

func TestVerdictsOfAReport(t *testing.T) {
	got, err := parseVerdicts([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]verdict{
		"a/b.py::test_multipart_copy_small": {passed: true},
		"a/b.py::test_object_lock_put":      {message: "assert 1 == 2"},
		"a/b.py::test_post_object_x":        {skipped: true},
		"a/b.py::test_atomic_write":         {message: "teardown"},
	} {
		if got[name] != want {
			t.Errorf("%s: %+v, want %+v", name, got[name], want)
		}
	}
}

func TestComparisonCountsWhatTheBareStorePasses(t *testing.T) {
	bare := map[string]verdict{"test_multipart_a": {passed: true}, "test_multipart_b": {passed: true}, "test_multipart_c": {message: "x"},
		"test_post_object_x": {skipped: true}}
	veil := map[string]verdict{"test_multipart_a": {passed: true}, "test_multipart_b": {message: "lost"}, "test_multipart_c": {passed: true}}
	var out strings.Builder
	if err := compare(&out, bare, veil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| multipart | 3 | 2 | 2 | 1 |", "| all | 3 | 2 | 2 | 1 |", "- multipart\ttest_multipart_b\tlost", "+ multipart\ttest_multipart_c\tx"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}

func TestFailuresAreThoseThatRanAndDidNotPass(t *testing.T) {
	got := failures(map[string]verdict{"c": {message: "x"}, "a": {passed: true}, "b": {skipped: true}, "0": {message: "y"}})
	if strings.Join(got, " ") != "0 c" {
		t.Errorf("%q", got)
	}
}

func TestUnreachableIsAboutTheConnectionAlone(t *testing.T) {
	for message, want := range map[string]bool{
		"botocore.exceptions.EndpointConnectionError: Could not connect":                   true,
		"ClientError: An error occurred (ServiceUnavailable) when calling the ListBuckets": true,
		"ClientError: An error occurred (AccessDenied) when calling the PutObject":         false,
		"assert 1 == 2": false,
	} {
		if unreachable(message) != want {
			t.Errorf("%q: not %t", message, want)
		}
	}
}
