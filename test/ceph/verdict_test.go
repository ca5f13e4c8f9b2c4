package main

import (
	"strings"
	"testing"
)

const sample = `<testsuites><testsuite>
<testcase classname="a" name="test_multipart_copy_small"/>
<testcase classname="a" name="test_object_lock_put"><failure message="assert 1&#10;== 2"/></testcase>
<testcase classname="a" name="test_post_object_x"><skipped message="no"/></testcase>
<testcase classname="a" name="test_atomic_write"/>
<testcase classname="a" name="test_atomic_write"><error message="teardown"/></testcase>
</testsuite></testsuites>`

func TestVerdictsOfAReport(t *testing.T) {
	got, err := parseVerdicts([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]verdict{
		"test_multipart_copy_small": {passed: true},
		"test_object_lock_put":      {message: "assert 1 == 2"},
		"test_post_object_x":        {skipped: true},
		"test_atomic_write":         {message: "teardown"},
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
	for _, want := range []string{"| multipart | 3 | 2 | 2 | 1 |", "| all | 3 | 2 | 2 | 1 |", "multipart\ttest_multipart_b\tlost"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
