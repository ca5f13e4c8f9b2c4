//go:build integration

package kube

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"sync"
)

// switchboard stands where kube-proxy would: the API server asks it for connections to the cluster's services
// (https://kubernetes.io/docs/tasks/extend-kubernetes/setup-konnectivity/), and gets them to processes of the test.
type switchboard struct {
	listener net.Listener
	mu       sync.Mutex
	backends map[string][]string // of a service's address and port
}

// newSwitchboard listens on a socket in a folder.
func newSwitchboard(dir string) (*switchboard, error) {
	l, err := net.Listen("unix", filepath.Join(dir, "egress.sock"))
	if err != nil {
		return nil, err
	}
	s := &switchboard{listener: l, backends: map[string][]string{}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s, nil
}

func (s *switchboard) close() { s.listener.Close() }

// selection is the configuration of the API server.
func (s *switchboard) selection() []byte {
	return fmt.Appendf(nil, `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport: {uds: {udsName: %s}}
`, s.listener.Addr())
}

// route sets where a service leads; nowhere without backends.
func (s *switchboard) route(service string, backends ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends[service] = backends
}

func (s *switchboard) pick(service string) (backend string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.backends[service]
	if len(all) == 0 {
		return "", false
	}
	return all[rand.IntN(len(all))], true
}

func (s *switchboard) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err != nil || r.Method != http.MethodConnect {
		return
	}
	address, ok := s.pick(r.Host)
	if !ok {
		fmt.Fprint(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		return
	}
	backend, err := net.Dial("tcp", address)
	if err != nil {
		fmt.Fprint(conn, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer backend.Close()
	fmt.Fprint(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		_, _ = io.Copy(backend, in)
		backend.Close()
	}()
	_, _ = io.Copy(conn, backend)
}
