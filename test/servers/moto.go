package servers

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// MustMoto starts moto's server, the double of AWS KMS and STS, and returns its URL. It accepts every signature and lets
// disabled keys decrypt: whatever depends on these is tested elsewhere.
func MustMoto(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		t.Fatalf("%v: it comes with `pip install moto[server]`", err)
	}
	dir, url := t.TempDir(), ""
	var p *Process
	err = RetryPorts(func() error {
		ports, err := FreePorts(1)
		if err != nil {
			return err
		}
		url = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
		p, err = StartProcess(Spec{Name: "moto", Path: program, Args: []string{"-H", "127.0.0.1", "-p", fmt.Sprint(ports[0])},
			Log: filepath.Join(dir, "moto.log")})
		if err != nil {
			return err
		}
		return p.Await(60*time.Second, func() error {
			resp, err := http.Get(url + "/moto-api/")
			if err == nil {
				resp.Body.Close()
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return url
}
