package inject

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// API is the API server of Kubernetes, for the few requests that a certificate of the webhook's own takes
// (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/).
type API struct {
	base   string
	token  string // its file: tokens are replaced within the hour
	client *http.Client
}

// serviceAccount is where the kubelet puts a pod's token and the authority of the API server.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// apiTimeout bounds one request; maxAPIAnswer its answer.
const (
	apiTimeout   = 10 * time.Second
	maxAPIAnswer = 4 << 20
)

// InCluster finds the API server as a pod does: variables name it, the folder (serviceAccount when empty) has token and ca.crt.
func InCluster(variable func(string) string, folder string) (*API, error) {
	if folder == "" {
		folder = serviceAccount
	}
	host, port := variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("self_signed: KUBERNETES_SERVICE_HOST and _PORT are not set: not in a pod")
	}
	authority, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("self_signed: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("self_signed: %s has no certificate", filepath.Join(folder, "ca.crt"))
	}
	transport := &http.Transport{ // no proxy: the API server is never behind one
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: apiTimeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        2,
		IdleConnTimeout:     time.Minute,
	}
	return &API{base: "https://" + net.JoinHostPort(host, port), token: filepath.Join(folder, "token"),
		client: &http.Client{Transport: transport, Timeout: apiTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// get reads an object into each of the values.
func (a *API) get(ctx context.Context, at string, into ...any) error {
	body, err := a.do(ctx, http.MethodGet, at, "", nil)
	if err != nil {
		return err
	}
	return decodeAll(body, into...)
}

// send writes an object or a patch.
func (a *API) send(ctx context.Context, method, at, kind string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = a.do(ctx, method, at, kind, body)
	return err
}

func (a *API) do(ctx context.Context, method, at, kind string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.base+at, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(a.token)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "s3veil-inject")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	answer, err := a.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAPIAnswer))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 != 2 {
		return nil, &statusError{answer.StatusCode, message(text)}
	}
	return text, nil
}

// message is the reason in a Status of the API server.
func message(text []byte) string {
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &status) != nil || status.Message == "" {
		return "without a reason"
	}
	return shortened(status.Message)
}
