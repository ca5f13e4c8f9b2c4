package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

var scenarios = []scenario{
	{name: "PUT unsigned, 256 MiB, 1 stream", method: "PUT", payload: unsigned, size: 256 << 20, count: 4, workers: 1, target: 1.2},
	{name: "PUT trailer, 256 MiB, 1 stream", method: "PUT", payload: trailer, size: 256 << 20, count: 4, workers: 1, target: 1.2},
	{name: "PUT signed, 256 MiB, 1 stream", method: "PUT", payload: signed, size: 256 << 20, count: 4, workers: 1, target: 1.15},
	{name: "GET, 256 MiB, 1 stream", method: "GET", size: 256 << 20, count: 4, workers: 1, target: 1.2},
	{name: "PUT unsigned, 64 MiB, 16 streams", method: "PUT", payload: unsigned, size: 64 << 20, count: 16, workers: 16, target: 1.2},
	{name: "GET, 64 MiB, 16 streams", method: "GET", size: 64 << 20, count: 16, workers: 16, target: 1.2},
	{name: "GET range 64 KiB of 64 MiB, 16 connections", method: "GET", size: 64 << 20, window: 64 << 10, count: 4000, workers: 16, small: true},
	{name: "PUT 4 KiB, 16 connections", method: "PUT", payload: unsigned, size: 4 << 10, count: 20000, workers: 16, target: 1.5, small: true},
	{name: "GET 4 KiB, 16 connections", method: "GET", size: 4 << 10, count: 20000, workers: 16, target: 1.5, small: true},
}

func main() {
	role := flag.String("role", "", "internal: store or relay")
	listen := flag.String("listen", "", "internal: address of a role")
	upstream := flag.String("upstream", "", "internal: address behind the relay")
	rounds := flag.Int("rounds", 3, "interleaved rounds")
	scale := flag.Float64("scale", 1, "factor for the number of requests")
	only := flag.String("only", "", "run only scenarios whose name contains this")
	resident := flag.Bool("memory", false, "measure resident memory instead of CPU time; -scale shrinks the uploads")
	slow := flag.Bool("latency", false, "measure how long single requests take instead")
	flag.StringVar(&profiles, "profile", "", "also write CPU, allocation and heap profiles of s3veil into this directory")
	against := flag.String("against", "", "another build of s3veil to measure in the same rounds")
	flag.Parse()
	var err error
	switch {
	case *resident:
		err = residence(*scale)
	case *slow:
		err = latency(*scale)
	default:
		err = start(*role, *listen, *upstream, *rounds, *scale, *only, *against)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func start(role, listen, upstream string, rounds int, scale float64, only, against string) error {
	if role == "" {
		return bench(rounds, scale, only, against)
	}
	l, err := net.Listen("tcp4", listen)
	if err != nil {
		return err
	}
	if role == "store" {
		return serveStub(l)
	}
	return serveRelay(l, upstream)
}

// path is one way from the client to the store.
type path struct {
	name   string
	client *client
	pid    int    // 0: no process in between
	admin  string // endpoint of profiles, s3veil only
}

// sample is one run of one scenario over one path.
type sample struct {
	cpu  float64 // seconds
	wall float64
	rss  int64
}

func bench(rounds int, scale float64, only, against string) error {
	dir, err := os.MkdirTemp("", "s3veil-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ports, err := servers.FreePorts(2)
	if err != nil {
		return err
	}
	store, relayAddr := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	self, err := os.Executable()
	if err != nil {
		return err
	}
	storeProc, err := spawn(dir, self, "store", store, "")
	if err != nil {
		return err
	}
	defer storeProc.Kill()
	relayProc, err := spawn(dir, self, "relay", relayAddr, store)
	if err != nil {
		return err
	}
	defer relayProc.Kill()
	cluster, err := s3veil.Start(s3veil.Options{Store: &servers.Store{Kind: "stub", Endpoint: "http://" + store, AccessKey: "a", SecretKey: "b"},
		Configure: withPprof})
	if err != nil {
		return err
	}
	defer s3veil.RemoveBuild(false)
	defer cluster.Stop()
	dial := func(endpoint string) *client { return newClient(endpoint, cluster.AccessKey, cluster.SecretKey) }
	paths := []path{
		{name: "direct", client: dial("http://" + store)},
		{name: "relay", client: dial("http://" + relayAddr), pid: relayProc.PID()},
		{name: "s3veil", client: dial(cluster.Endpoint()), pid: cluster.Replicas[0].PID(), admin: cluster.Replicas[0].Admin},
	}
	if against != "" {
		other, end, err := startOther(dir, against, cluster)
		if err != nil {
			return err
		}
		defer end()
		paths = append(paths, path{name: otherBuild, client: dial(other.endpoint), pid: other.pid})
	}
	selected := slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return !strings.Contains(s.name, only) })
	for i := range selected {
		selected[i].count = max(1, int(float64(selected[i].count)*scale))
	}
	results, err := measure(selected, paths, rounds)
	if err != nil {
		return fmt.Errorf("%w\nend of s3veil's log:\n%s", err, servers.Tail(cluster.Replicas[0].Log, 2000))
	}
	report(selected, results, rounds)
	if against != "" {
		reportOther(selected, results)
	}
	return nil
}

func spawn(dir, self, role, listen, upstream string) (*servers.Process, error) {
	p, err := servers.StartProcess(servers.Spec{Name: role, Path: self, Log: filepath.Join(dir, role+".log"),
		Args: []string{"-role", role, "-listen", listen, "-upstream", upstream}})
	if err != nil {
		return nil, err
	}
	return p, p.Await(10*time.Second, dials(listen))
}

// dials is a check that somebody listens.
func dials(address string) func() error {
	return func() error {
		conn, err := net.Dial("tcp4", address)
		if err == nil {
			conn.Close()
		}
		return err
	}
}

// measure runs every scenario over every path, interleaved: samples by scenario name and path name.
func measure(selected []scenario, paths []path, rounds int) (map[string]map[string][]sample, error) {
	results := map[string]map[string][]sample{}
	body := make([]byte, 256<<20)
	rand.NewChaCha8([32]byte{1}).Read(body)
	for _, s := range selected {
		results[s.name] = map[string][]sample{}
		p := newPayload(s.payload, body[:s.size])
		if s.method == "GET" {
			seed := newPayload(unsigned, body[:s.size])
			if _, err := paths[2].client.do("PUT", fmt.Sprintf("%s-%d", keepPrefix, s.size), &seed, ""); err != nil {
				return nil, err
			}
		}
		for round := range rounds + 1 {
			for i := range paths {
				w := paths[(i+round)%len(paths)] // the order rotates
				one, err := s.sample(w, p)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", s.name, w.name, err)
				}
				if round > 0 { // the first round warms up
					results[s.name][w.name] = append(results[s.name][w.name], one)
				}
			}
			fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", s.name, round, rounds)
		}
		if profiles != "" {
			if err := s.profileRun(paths[2], p); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}

func (s scenario) sample(w path, p payload) (sample, error) {
	var before, after float64
	var err error
	if w.pid != 0 {
		resetPeak(w.pid)
		if before, err = cpuSeconds(w.pid); err != nil {
			return sample{}, err
		}
	}
	wall, err := s.run(w.client, p)
	if err != nil {
		return sample{}, err
	}
	out := sample{wall: wall.Seconds()}
	if w.pid != 0 {
		if after, err = cpuSeconds(w.pid); err != nil {
			return sample{}, err
		}
		out.cpu, out.rss = after-before, peakRSS(w.pid)
	}
	return out, nil
}

// primitives measures AES-256-GCM over 64 KiB packages and SHA-256, in CPU seconds per GiB, best of three.
func primitives() (gcm, sha float64) {
	block, _ := aes.NewCipher(make([]byte, 32))
	aead, _ := cipher.NewGCM(block)
	src, dst, nonce := make([]byte, 64<<10), make([]byte, 0, 64<<10+16), make([]byte, 12)
	best := func(f func()) float64 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		least := 1e9
		for range 3 {
			before := selfCPU()
			for range 1 << 13 { // 512 MiB
				f()
			}
			least = min(least, (selfCPU()-before)*2)
		}
		return least
	}
	return best(func() { aead.Seal(dst, nonce, src, nil) }), best(func() { sha256.Sum256(src) })
}

func selfCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	sec := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return sec(u.Utime) + sec(u.Stime)
}
