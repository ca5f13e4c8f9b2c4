// Command ceph runs the public Ceph S3 suite (github.com/ceph/s3-tests, which is fetched apart) against a bare store and
// through s3veil in front of the same store, with the same users on both sides, and compares the verdicts by category.
package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func main() {
	suite := flag.String("suite", "", "directory of the suite")
	python := flag.String("python", "python3", "Python with pytest, pytest-timeout, pytest-xdist and what the suite requires")
	kind := flag.String("store", servers.Versity, "store: versitygw, rgw or minio")
	only := flag.String("only", "", "pytest's -k: run only tests that fit")
	against := flag.String("against", "", "take the bare store's verdicts from an earlier run's -out")
	workers := flag.Int("workers", 2, "tests at once")
	out := flag.String("out", "", "directory for verdicts and logs")
	flag.Parse()
	if err := measure(*suite, *python, *kind, *only, *out, *against, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "ceph:", err)
		os.Exit(1)
	}
}

func measure(suite, python, kind, only, out, against string, workers int) error {
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
	defer s3veil.RemoveBuild(false)
	t := tests{suite: suite, python: python, only: only, workers: workers}
	sides := []*side{{name: kind + "-bare"}, {name: kind + "-s3veil", veiled: true}}
	sides[0].other, sides[1].other = sides[1], sides[0]
	var wait, first sync.WaitGroup
	first.Add(len(sides))
	for i, s := range sides { // at the same time: most of it is the suite's own
		ran := sync.OnceFunc(first.Done)
		wait.Go(func() {
			defer ran()
			if i == 0 && against != "" {
				s.verdicts, s.err = earlier(filepath.Join(against, s.name))
				s.final = s.verdicts
				return
			}
			s.err = s.run(kind, t, filepath.Join(out, s.name), func() { ran(); first.Wait() })
		})
	}
	wait.Wait()
	if err := errors.Join(sides[0].err, sides[1].err); err != nil {
		return err
	}
	for _, s := range sides {
		fmt.Printf("%s: the store ended by itself %d times\n", s.name, s.ended.Load())
	}
	return compare(os.Stdout, sides[0].final, sides[1].final)
}

// earlier reads the reports of an earlier run: the first, and those of what was repeated.
func earlier(files string) (map[string]verdict, error) {
	all, err := readVerdicts(files + ".xml")
	if err != nil {
		return nil, err
	}
	for round := 2; ; round++ {
		again, err := readVerdicts(fmt.Sprintf("%s-%d.xml", files, round))
		if errors.Is(err, os.ErrNotExist) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		maps.Copy(all, again)
	}
}

// side is one run of the suite: against a store of its own, or s3veil in front of one.
type side struct {
	name     string
	veiled   bool
	other    *side
	verdicts map[string]verdict // of the first run
	final    map[string]verdict
	ended    atomic.Int32
	err      error
}

// run runs every test, waits for the other side, and repeats what failed on this side alone.
func (s *side) run(kind string, t tests, files string, both func()) error {
	store, err := servers.Start(kind)
	if err != nil {
		return err
	}
	defer store.Stop()
	defer store.Supervise(func() { s.ended.Add(1) })()
	people := users(store)
	if err := enrol(store, people, t.python); err != nil {
		return err
	}
	endpoint := store.Endpoint
	if s.veiled {
		cluster, err := s3veil.Start(s3veil.Options{Store: store, TLS: true, Configure: func(c map[string]any) { settings(c, people) }})
		if err != nil {
			return err
		}
		defer cluster.Stop()
		defer func() { s.crashed(cluster) }()
		endpoint, t.ca = cluster.Endpoint(), cluster.CAFile
	}
	if err := os.WriteFile(files+".conf", []byte(suiteConf(endpoint, people)), 0o600); err != nil {
		return err
	}
	s.verdicts, err = t.once(files, files+".xml", []string{"s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py"}, t.workers)
	if err != nil {
		return err
	}
	both()
	return s.repeat(t, files)
}

// repeat runs what has failed here and passed at the other side, or found nobody to answer it, up to twice more, one after
// another: a test that ends the store, or the clock of a busy machine, fails others beside it. What fails every time fails.
func (s *side) repeat(t tests, files string) error {
	known := maps.Clone(s.verdicts) // the other side reads ours
	for round := range 2 {
		failed := slices.DeleteFunc(failures(known), func(id string) bool {
			return !unreachable(known[id].message) && (round > 0 || !s.other.verdicts[id].passed)
		})
		if len(failed) == 0 {
			break
		}
		again, err := t.once(files, fmt.Sprintf("%s-%d.xml", files, round+2), failed, 0)
		if err != nil {
			return err
		}
		maps.Copy(known, again)
	}
	s.final = known
	return nil
}

func (s *side) crashed(c *s3veil.Cluster) {
	if what := c.Crashed(); what != "" {
		s.err = errors.Join(s.err, errors.New(what))
	}
}

// tests are the suite and how it is run.
type tests struct {
	suite, python, only string
	ca                  string // of the endpoint, empty for none
	workers             int
}

func (t tests) once(files, report string, what []string, workers int) (map[string]verdict, error) {
	if err := t.pytest(files+".conf", report, what, workers); err != nil {
		return nil, err
	}
	return readVerdicts(report)
}

// aside are tests that wait for the passing of simulated days, need a second cluster, or are about services other than S3.
const aside = "not (lifecycle_expiration or lifecycle_transition or cloud_transition or cloud_restore or bucket_logging or " +
	"bucket_logging_cleanup or iam_account or iam_cross_account or iam_role or iam_tenant or iam_user or sns or s3select or " +
	"test_of_sts or webidentity_test or group or group_policy or role_policy or session_policy or user_policy)"

func (t tests) pytest(conf, report string, what []string, workers int) error {
	args := []string{"-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider", "-n", fmt.Sprint(workers), "--timeout=120",
		"--junit-xml", report, "-m", aside}
	if t.only != "" {
		args = append(args, "-k", t.only)
	}
	log, err := os.Create(strings.TrimSuffix(report, ".xml") + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(t.python, append(args, what...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.suite, log, log
	cmd.Env = append(servers.CleanEnv(), "S3TEST_CONF="+conf, "AWS_DEFAULT_REGION="+servers.Region)
	if t.ca != "" {
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+t.ca)
	}
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: some tests failed
		return fmt.Errorf("pytest: %w, see %s", err, log.Name())
	}
	return nil
}
