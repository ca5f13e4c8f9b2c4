//go:build integration

package main

import (
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"s3veil/test/servers"
)

// startSTS runs moto's security token service and points the SDK at it.
func startSTS(t *testing.T) {
	t.Helper()
	withoutAWS(t)
	var p *servers.Process
	err := servers.RetryPorts(func() error {
		ports, err := servers.FreePorts(1)
		if err != nil {
			return err
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
		p, err = servers.StartProcess(servers.Spec{Name: "moto", Path: "moto_server",
			Args: []string{"-H", "127.0.0.1", "-p", strconv.Itoa(ports[0])}, Log: filepath.Join(t.TempDir(), "moto.log")})
		if err != nil {
			return err
		}
		t.Setenv("AWS_ENDPOINT_URL_STS", "http://"+addr)
		err = p.Await(30*time.Second, func() error {
			c, err := net.Dial("tcp", addr)
			return errors.Join(err, closeConn(c))
		})
		if err != nil {
			p.Kill()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
}

func closeConn(c net.Conn) error {
	if c == nil {
		return nil
	}
	return c.Close()
}

const role = "arn:aws:iam::123456789012:role/s3veil"

func TestAssumedRole(t *testing.T) {
	startSTS(t)
	c := chain(t, Credentials{AccessKey: "base", SecretKey: "base-secret", RoleARN: role})
	first := retrieve(t, c)
	if !strings.HasPrefix(first.AccessKey, "ASIA") || first.SessionToken == "" {
		t.Fatalf("access key %q is not a temporary one", first.AccessKey)
	}
	if again := retrieve(t, c); again != first {
		t.Error("the role is assumed for every request")
	}
	c.Expired()
	if renewed := retrieve(t, c); renewed == first || renewed.SessionToken == "" {
		t.Error("the role is not assumed anew after a refusal")
	}
}

func TestRoleOfTheEnvironmentsCredentials(t *testing.T) {
	startSTS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "env")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
	if got := retrieve(t, chain(t, Credentials{RoleARN: role})); !strings.HasPrefix(got.AccessKey, "ASIA") {
		t.Errorf("access key %q is not a temporary one", got.AccessKey)
	}
}

func TestWebIdentity(t *testing.T) {
	startSTS(t)
	token := write(t, filepath.Join(t.TempDir(), "token"), "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzM3ZlaWwifQ.")
	t.Setenv("AWS_ROLE_ARN", role)
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	got := retrieve(t, chain(t, Credentials{}))
	if !strings.HasPrefix(got.AccessKey, "ASIA") || got.SessionToken == "" {
		t.Errorf("access key %q is not a temporary one", got.AccessKey)
	}
}
