// Command ceph runs the public Ceph S3 suite (github.com/ceph/s3-tests, which is fetched apart) against a bare store and
// through s3veil in front of the same store, with the same users on both sides, and compares the verdicts by category.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func main() {
	suite := flag.String("suite", "", "directory of the suite")
	python := flag.String("python", "python3", "Python with pytest, pytest-timeout, pytest-xdist and what the suite requires")
	kind := flag.String("store", servers.Versity, "store: versitygw or rgw")
	only := flag.String("only", "", "pytest's -k: run only tests that fit")
	workers := flag.Int("workers", 2, "tests at once")
	out := flag.String("out", "", "directory for verdicts and logs")
	flag.Parse()
	if err := measure(*suite, *python, *kind, *only, *out, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "ceph:", err)
		os.Exit(1)
	}
}

func measure(suite, python, kind, only, out string, workers int) error {
	if suite == "" || out == "" {
		return errors.New("-suite and -out are needed")
	}
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	store, err := servers.Start(kind)
	if err != nil {
		return err
	}
	defer store.Stop()
	people := users(store)
	if err := enrol(store, people); err != nil {
		return err
	}
	cluster, err := s3veil.Start(s3veil.Options{Store: store, TLS: true, Configure: func(c map[string]any) { settings(c, people) }})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	defer s3veil.RemoveBuild(false)
	verdicts, err := both(store, cluster, people, func(conf, report string) error {
		return pytest(suite, python, conf, report, only, workers)
	}, out)
	if err != nil {
		return err
	}
	if what := cluster.Crashed(); what != "" {
		return errors.New(what)
	}
	return compare(os.Stdout, verdicts[0], verdicts[1])
}

// both runs the suite on either side at the same time: most of its time is the suite's own.
func both(store *servers.Store, cluster *s3veil.Cluster, people []user, run func(conf, report string) error, out string) (
	[2]map[string]verdict, error) {
	var verdicts [2]map[string]verdict
	var errs [2]error
	var wait sync.WaitGroup
	for i, endpoint := range []string{store.Endpoint, cluster.Endpoint()} {
		name := filepath.Join(out, store.Kind+[]string{"-bare", "-s3veil"}[i])
		wait.Go(func() {
			if errs[i] = os.WriteFile(name+".conf", []byte(suiteConf(endpoint, people)), 0o600); errs[i] != nil {
				return
			}
			if errs[i] = run(name+".conf", name+".xml"); errs[i] == nil {
				verdicts[i], errs[i] = readVerdicts(name + ".xml")
			}
		})
	}
	wait.Wait()
	return verdicts, errors.Join(errs[:]...)
}

// aside are tests that wait for the passing of simulated days, need a second cluster, or are about services other than S3.
const aside = "not (lifecycle_expiration or lifecycle_transition or cloud_transition or cloud_restore or bucket_logging or " +
	"bucket_logging_cleanup or iam_account or iam_cross_account or iam_role or iam_tenant or iam_user or sns or s3select or " +
	"test_of_sts or webidentity_test or group or group_policy or role_policy or session_policy or user_policy)"

func pytest(suite, python, conf, report, only string, workers int) error {
	args := []string{"-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider", "-n", fmt.Sprint(workers), "--timeout=120",
		"--junit-xml", report, "-m", aside, "s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py"}
	if only != "" {
		args = append(args, "-k", only)
	}
	log, err := os.Create(strings.TrimSuffix(report, ".xml") + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(python, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = suite, log, log
	cmd.Env = append(servers.CleanEnv(), "S3TEST_CONF="+conf, "AWS_DEFAULT_REGION="+servers.Region)
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: some tests failed
		return fmt.Errorf("pytest: %w, see %s", err, log.Name())
	}
	return nil
}
