//go:build integration

package kube

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/tree"
)

// kubeVar names the folder with the programs and files that .ci/kube.sh makes.
const kubeVar = "S3VEIL_TEST_KUBE"

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild, stopPlane) }

// plane is a control plane with one node.
type plane struct {
	dir        string // keys, certificates, logs, etcd's data
	bin        string
	url        string // https://127.0.0.1:port
	token      string // of a member of system:masters
	caPEM      []byte
	kubeconfig string
	client     *http.Client
	procs      []*servers.Process // in the order of their start
	services   *switchboard
}

var shared struct {
	once sync.Once
	*plane
	err error
}

// mustPlane returns the control plane of this run of the package.
func mustPlane(t *testing.T) *plane {
	t.Helper()
	shared.once.Do(func() { shared.plane, shared.err = startPlane() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.plane
}

func stopPlane(keep bool) {
	if shared.plane == nil {
		return
	}
	shared.stop()
	if keep {
		fmt.Fprintln(os.Stderr, "kept for inspection:", shared.dir)
		return
	}
	os.RemoveAll(shared.dir)
}

// startPlane starts everything and waits until the node is ready. After an error nothing runs.
func startPlane() (*plane, error) {
	bin := os.Getenv(kubeVar)
	if bin == "" {
		return nil, fmt.Errorf("%s is not set; .ci/kube sets it", kubeVar)
	}
	var p *plane
	err := servers.RetryPorts(func() error {
		dir, err := os.MkdirTemp("", "s3veil-kube-")
		if err != nil {
			return err
		}
		p = &plane{dir: dir, bin: bin, kubeconfig: filepath.Join(dir, "kubeconfig")}
		if p.services, err = newSwitchboard(dir); err != nil {
			return err
		}
		if err = errors.Join(p.writeIdentities(), p.start()); err != nil {
			p.stop()
			os.RemoveAll(dir)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// writeIdentities makes the certificate of the API server, the key of service accounts and the token of the administrator.
func (p *plane) writeIdentities() error {
	ca, err := newAuthority("kubernetes test CA", 24*time.Hour)
	if err != nil {
		return err
	}
	p.caPEM = ca.pem
	certificate, key, err := ca.issue(24*time.Hour, "kube-apiserver", "localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	accounts, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&accounts.PublicKey)
	if err != nil {
		return err
	}
	var secret [16]byte
	rand.Read(secret[:])
	p.token = hex.EncodeToString(secret[:])
	for name, content := range map[string][]byte{
		"ca.pem": ca.pem, "api.pem": certificate, "api.key": key, "egress.yaml": p.services.selection(),
		"sa.key":     pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(accounts)}),
		"sa.pub":     pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"tokens.csv": []byte(p.token + ",admin,1,system:masters\n"),
	} {
		if err := os.WriteFile(p.file(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (p *plane) file(name string) string { return filepath.Join(p.dir, name) }

func (p *plane) run(name string, args ...string) (*servers.Process, error) {
	proc, err := servers.StartProcess(servers.Spec{Name: name, Path: filepath.Join(p.bin, name), Args: args, Dir: p.dir, Log: p.file(name + ".log")})
	if err == nil {
		p.procs = append(p.procs, proc)
	}
	return proc, err
}

func (p *plane) start() error {
	ports, err := servers.FreePorts(6)
	if err != nil {
		return err
	}
	etcd, peer := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	p.url = fmt.Sprintf("https://127.0.0.1:%d", ports[2])
	if p.client, err = trusting(p.caPEM); err != nil {
		return err
	}
	if err := p.writeKubeconfig(); err != nil {
		return err
	}
	if _, err := p.run("etcd", "--data-dir", p.file("etcd"), "--unsafe-no-fsync", "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer); err != nil {
		return err
	}
	api, err := p.run("kube-apiserver", "--etcd-servers="+etcd, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[2]),
		"--tls-cert-file=api.pem", "--tls-private-key-file=api.key", "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=sa.pub", "--service-account-signing-key-file=sa.key", "--authorization-mode=RBAC", "--token-auth-file=tokens.csv",
		"--service-cluster-ip-range=10.0.0.0/24", "--cert-dir="+p.file("certs"),
		"--egress-selector-config-file=egress.yaml")
	if err != nil {
		return err
	}
	if err := api.Await(120*time.Second, func() error { return p.do("GET", "/readyz", nil, nil) }); err != nil {
		return err
	}
	// The node that only pretends sends no heartbeats: without the long grace period its pods would soon be unready.
	if _, err := p.run("kube-controller-manager", "--kubeconfig=kubeconfig", "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[3]),
		"--cert-dir=certs", "--leader-elect=false", "--service-account-private-key-file=sa.key", "--root-ca-file=ca.pem",
		"--node-monitor-grace-period=24h"); err != nil {
		return err
	}
	if _, err := p.run("kube-scheduler", "--kubeconfig=kubeconfig", "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[4]),
		"--cert-dir=certs", "--leader-elect=false"); err != nil {
		return err
	}
	kwok, err := p.run("kwok", "--kubeconfig=kubeconfig", "--manage-all-nodes=true", fmt.Sprintf("--server-address=127.0.0.1:%d", ports[5]),
		"--config", filepath.Join(p.bin, "stages.yaml"))
	if err != nil {
		return err
	}
	if err := p.do("POST", "/api/v1/nodes", object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": "node-0",
		"annotations": object{"kwok.x-k8s.io/node": "fake"},
		"labels":      object{"kubernetes.io/os": "linux", "kubernetes.io/hostname": "node-0", "zone": "a", "i": "j"}}}, nil); err != nil {
		return err
	}
	if err := kwok.Await(120*time.Second, p.nodeReady); err != nil {
		return err
	}
	return p.prepare()
}

func (p *plane) nodeReady() error {
	var node object
	if err := p.do("GET", "/api/v1/nodes/node-0", nil, &node); err != nil {
		return err
	}
	for _, c := range tree.List(node, "status", "conditions") {
		if text(c, "type") == "Ready" && text(c, "status") == "True" {
			return nil
		}
	}
	return errors.New("the node is not ready")
}

// prepare creates what clusters have: definitions of foreign objects, and the priority class of the chart's test values.
func (p *plane) prepare() error {
	files, err := filepath.Glob(filepath.Join(p.bin, "crds", "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no definitions of foreign objects in %s: %w", p.bin, err)
	}
	for _, f := range files {
		definition, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		var made object
		if err := p.do("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition, &made); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		objects := fmt.Sprintf("/apis/%s/%s/%s", text(made, "spec", "group"), text(made, "spec", "versions", 0, "name"), text(made, "spec", "names", "plural"))
		if err := p.procs[0].Await(60*time.Second, func() error { return p.do("GET", objects, nil, nil) }); err != nil {
			return err
		}
	}
	return p.do("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", object{"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
		"metadata": object{"name": "high"}, "value": 1000}, nil)
}

func (p *plane) writeKubeconfig() error {
	return os.WriteFile(p.kubeconfig, []byte(strings.NewReplacer("URL", p.url, "CA", p.file("ca.pem"), "TOKEN", p.token).Replace(
		`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "URL", certificate-authority: "CA"}}]
users: [{name: u, user: {token: "TOKEN"}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`)), 0o600)
}

// stop ends the processes, the last one first.
func (p *plane) stop() {
	for i := len(p.procs) - 1; i >= 0; i-- {
		p.procs[i].Kill()
	}
	p.services.close()
}
