// Package s3veil builds the s3veil program and starts replicas of it in front of a store, with a configuration made for
// the test. Bare gives the same shape for a store without s3veil in front, so that a test can be checked against plain S3.
package s3veil

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/test/servers"
)

// Options say how replicas are configured. The zero value of every field but Store is usable.
type Options struct {
	Store    *servers.Store
	Replicas int  // 1
	TLS      bool // serve https with a certificate of a CA made for the cluster
	// AccessKey and SecretKey of the client; own ones when empty.
	AccessKey, SecretKey string
	// Configure changes the generated configuration (the tree of s3veil.yaml) before it is written.
	Configure func(config map[string]any)
	Env       []string
	Program   string // another build of s3veil; Build's when empty
}

// Cluster is one or more replicas with one configuration and one key file.
type Cluster struct {
	Target
	Dir      string // configuration, key file, logs
	Replicas []*Replica
}

// Replica is one s3veil process.
type Replica struct {
	Endpoint string // http(s)://127.0.0.1:port
	Admin    string // http://127.0.0.1:port
	Log      string

	env    []string
	config string
	binary string
	proc   *servers.Process
	down   bool // ended by Kill or Stop
}

// Build compiles s3veil once per process, as releases are built (-tags nodevstore), and returns the program's path. With
// S3VEIL_TEST_RACE=1 it has the race detector.
var Build = sync.OnceValues(func() (string, error) {
	root, err := servers.ModuleRoot()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "s3veil-build-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	args := []string{"build", "-tags", "nodevstore", "-o", filepath.Join(dir, "s3veil")}
	if os.Getenv("S3VEIL_TEST_RACE") == "1" {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/s3veil")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build s3veil: %w\n%s", err, out)
	}
	return filepath.Join(dir, "s3veil"), nil
})

var buildDir string

// RemoveBuild removes the program that Build made; for TestMain.
func RemoveBuild(bool) {
	if buildDir != "" {
		os.RemoveAll(buildDir)
	}
}

// BuildAs compiles s3veil for one test with build tags and environment of its own, for example GOFIPS140=certified.
func BuildAs(t testing.TB, tags string, env ...string) (program string) {
	t.Helper()
	root, err := servers.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(t.TempDir(), "s3veil")
	cmd := exec.Command("go", "build", "-tags", tags, "-o", program, "./cmd/s3veil")
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build s3veil %v: %v\n%s", env, err, out)
	}
	return program
}

// Start builds s3veil and starts its replicas; they are ready when it returns.
func Start(o Options) (*Cluster, error) {
	binary := o.Program
	if binary == "" {
		var err error
		if binary, err = Build(); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "s3veil-cluster-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, Target: Target{Name: "s3veil", Store: o.Store, Encrypted: true,
		AccessKey: "app", SecretKey: "app-secret-0123456789-abcdefghij"}}
	if o.AccessKey != "" {
		c.AccessKey, c.SecretKey = o.AccessKey, o.SecretKey
	}
	c.Target.Crashed = c.crashed
	if err := c.start(binary, o); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(binary string, o Options) error {
	keys := filepath.Join(c.Dir, "keys.json")
	cmd := exec.Command(binary, "keys", "new", "--out", keys)
	cmd.Env = servers.CleanEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("s3veil keys new: %w\n%s", err, out)
	}
	if o.TLS {
		ca, err := NewCA(c.Dir)
		if err != nil {
			return err
		}
		c.CAFile = ca
	}
	for i := range max(o.Replicas, 1) {
		r := &Replica{binary: binary, Log: filepath.Join(c.Dir, fmt.Sprintf("replica-%d.log", i)), env: o.Env,
			config: filepath.Join(c.Dir, fmt.Sprintf("replica-%d.yaml", i))}
		err := servers.RetryPorts(func() error {
			if err := c.configure(r, o, keys); err != nil {
				return err
			}
			return r.Start()
		})
		if err != nil {
			return err
		}
		c.Replicas = append(c.Replicas, r)
		c.Endpoints = append(c.Endpoints, r.Endpoint)
	}
	return nil
}

// configure writes the configuration of one replica; JSON is YAML.
func (c *Cluster) configure(r *Replica, o Options, keys string) error {
	ports, err := servers.FreePorts(2)
	if err != nil {
		return err
	}
	listen, admin := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	config := map[string]any{
		"listen": listen, "admin": admin,
		"upstream": map[string]any{
			"endpoint": o.Store.Endpoint, "region": servers.Region, "path_style": true,
			"credentials": map[string]any{"access_key": o.Store.AccessKey, "secret_key": o.Store.SecretKey},
		},
		"clients": []any{map[string]any{"access_key": c.AccessKey, "secret_key": c.SecretKey,
			"buckets": []string{"*"}, "actions": []string{"read", "write", "delete", "admin"}}},
		"kms":     map[string]any{"keys": []any{map[string]any{"id": "main", "provider": "local", "file": keys}}},
		"buckets": []any{map[string]any{"name": "*", "key": "main"}},
		"limits":  map[string]any{"drain_delay": "0s"}, // there is no balancer
	}
	r.Endpoint, r.Admin = "http://"+listen, "http://"+admin
	if o.TLS {
		r.Endpoint = "https://" + listen
		config["tls"] = map[string]any{"cert_file": filepath.Join(c.Dir, "server.pem"),
			"key_file": filepath.Join(c.Dir, "server.key")}
	}
	if o.Configure != nil {
		o.Configure(config)
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(r.config, text, 0o600)
}

// Reconfigure changes the replica's configuration file, which it reads again when told to, or by and by.
func (r *Replica) Reconfigure(change func(config map[string]any)) error {
	text, err := os.ReadFile(r.config)
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	change(config)
	if text, err = json.MarshalIndent(config, "", "  "); err != nil {
		return err
	}
	if err := os.WriteFile(r.config+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(r.config+".new", r.config)
}

// Begin starts the replica again after Kill or Stop, on the same address, and does not wait for anything.
func (r *Replica) Begin() error {
	p, err := servers.StartProcess(servers.Spec{Name: "s3veil", Path: r.binary, Args: []string{"serve", "--config", r.config},
		Env: r.env, Log: r.Log})
	if err != nil {
		return err
	}
	r.proc, r.down = p, false
	return nil
}

// Start starts the replica again like Begin and waits until it is ready.
func (r *Replica) Start() error {
	if err := r.Begin(); err != nil {
		return err
	}
	if err := r.proc.Await(30*time.Second, r.ready); err != nil {
		r.proc.Kill()
		return err
	}
	return nil
}

func (r *Replica) ready() error {
	client := http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get(r.Admin + "/readyz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New("readyz: " + resp.Status)
	}
	return nil
}

// Kill ends the replica as a crash would (SIGKILL).
func (r *Replica) Kill() {
	r.down = true
	r.proc.Kill()
}

// Stop ends the replica as a deployment would (SIGTERM, then SIGKILL).
func (r *Replica) Stop() {
	r.down = true
	r.proc.Stop(10 * time.Second)
}

// PID is the replica's process id.
func (r *Replica) PID() int { return r.proc.PID() }

// Ended is closed when the replica's process has ended.
func (r *Replica) Ended() <-chan struct{} { return r.proc.Exited() }

// Crashed reports whether the replica has ended without Kill or Stop.
func (r *Replica) Crashed() bool { return !r.down && !r.proc.Running() }

// crashed says what the logs show of replicas that have ended by themselves.
func (c *Cluster) crashed() string {
	var b strings.Builder
	for _, r := range c.Replicas {
		if !r.Crashed() {
			continue
		}
		text := servers.Tail(r.Log, 1<<20)
		for _, mark := range []string{"\npanic:", "\nfatal error:", "DATA RACE"} {
			if i := strings.Index(text, mark); i >= 0 {
				text = text[i:]
				break
			}
		}
		fmt.Fprintf(&b, "a replica has ended by itself:\n%.3000s", text)
	}
	return b.String()
}

// Stop ends every replica and removes the cluster's directory.
func (c *Cluster) Stop() {
	c.Keep()
	os.RemoveAll(c.Dir)
}

// Keep ends every replica and leaves the directory for inspection.
func (c *Cluster) Keep() {
	for _, r := range c.Replicas {
		r.Kill()
	}
}
