package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// MinIOVar names the environment variable that holds the path of a MinIO binary. MinIO is never linked and takes minutes
// to compile, so only the long run provides it.
const MinIOVar = "S3VEIL_TEST_MINIO"

// Kinds returns the kinds of stores that this run tests with.
func Kinds() []string {
	kinds := []string{Versity, RGW}
	if os.Getenv(MinIOVar) != "" {
		kinds = append(kinds, MinIO)
	}
	return kinds
}

func startMinIO() (*Store, error) {
	path := os.Getenv(MinIOVar)
	if path == "" {
		return nil, fmt.Errorf("servers: %s is not set", MinIOVar)
	}
	s, err := newStore(MinIO)
	if err != nil {
		return nil, err
	}
	s.Persistent = true
	err = RetryPorts(func() error {
		ports, err := FreePorts(2)
		if err != nil {
			return err
		}
		p, err := StartProcess(Spec{Name: MinIO, Path: path, Log: filepath.Join(s.Dir, "minio.log"),
			Args: []string{"server", "--quiet", "--address", fmt.Sprintf("127.0.0.1:%d", ports[0]),
				"--console-address", fmt.Sprintf("127.0.0.1:%d", ports[1]), filepath.Join(s.Dir, "data")},
			Env: []string{"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey, "MINIO_UPDATE=off"}})
		if err != nil {
			return err
		}
		s.Endpoint, s.procs = fmt.Sprintf("http://127.0.0.1:%d", ports[0]), []*Process{p}
		if err := p.Await(30*time.Second, s.probe); err != nil {
			s.halt()
			return err
		}
		return nil
	})
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}
