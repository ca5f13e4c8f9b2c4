//go:build integration

package conformance

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

func TestSuiteAgainstS3veil(t *testing.T) { suite(t, servers.VersityPlain) }

func TestSuiteWithVersionsAgainstS3veil(t *testing.T) {
	suite(t, servers.Versity, "--versioning-enabled")
}

// suite runs the whole suite and compares with the list. S3VEIL_TEST_BARE=1 runs it against the store itself, where nothing
// fails. S3VEIL_TEST_CASES=A,B runs these cases alone.
func suite(t *testing.T, kind string, more ...string) {
	store := servers.MustStart(t, kind)
	run, expected := Run{Dir: t.TempDir(), Endpoint: store.Endpoint, Store: store}, map[string]string{}
	if os.Getenv("S3VEIL_TEST_BARE") != "1" {
		var err error
		if expected, err = Expected("expected-failures.txt"); err != nil {
			t.Fatal(err)
		}
		c := s3veil.MustStart(t, s3veil.Options{Store: store, AccessKey: store.AccessKey, SecretKey: store.SecretKey, Configure: settings(store)})
		users := newEnrolment(c)
		defer users.Close()
		run.Endpoint, run.Enrol = c.Endpoint(), users.URL
	}
	log, err := os.Create(store.Dir + "/suite.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	run.Log = log
	if cases := os.Getenv("S3VEIL_TEST_CASES"); cases != "" {
		some(ctx, t, run, strings.Split(cases, ","), expected, more...)
		return
	}
	res, err := run.All(ctx, more...)
	if err != nil {
		t.Fatal(err)
	}
	if res.Verdicts < 600 {
		t.Fatalf("only %d cases ran; end of the log:\n%s", res.Verdicts, servers.Tail(log.Name(), 4000))
	}
	for _, name := range slices.Sorted(maps.Keys(res.Failed)) {
		if expected[name] != "" {
			t.Logf("%s: %s", name, res.Failed[name])
			continue
		}
		if good, err := run.Again(ctx, name, more...); err != nil || !good {
			t.Errorf("%s: %s (%v)", name, res.Failed[name], err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		if res.Failed[name] == "" && res.Passed[name] {
			t.Errorf("%s passes now: take it off the list", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(res.Silent)) {
		t.Errorf("%s ended without a verdict", name)
	}
	t.Logf("%d verdicts: %d passed, %d in other words, %d failed, as expected or not", res.Verdicts,
		res.Verdicts-len(res.Reworded)-len(res.Failed), len(res.Reworded), len(res.Failed))
}

// some runs the named cases one after another, each in an empty store. They have to pass, unless the list says otherwise.
func some(ctx context.Context, t *testing.T, run Run, cases []string, expected map[string]string, more ...string) {
	for _, name := range cases {
		res, err := run.Alone(ctx, name, more...)
		switch {
		case err != nil:
			t.Fatal(err)
		case res.Passed[name] && expected[name] != "":
			t.Errorf("%s passes now: take it off the list", name)
		case !res.Passed[name] && expected[name] == "":
			t.Errorf("%s: %s%s", name, res.Failed[name], res.Reworded[name])
		default:
			t.Logf("%s: passed %v %s%s", name, res.Passed[name], res.Failed[name], res.Reworded[name])
		}
	}
}
