package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// profiles is where profiles of s3veil are written, for go tool pprof; empty for none.
var profiles string

// withPprof switches profiles on in a configuration of s3veil.
func withPprof(config map[string]any) { config["admin_pprof"] = profiles != "" }

// profile fetches a profile of the process behind an admin endpoint into a file named after what runs.
func profile(admin, kind, query, name string) error {
	resp, err := http.Get(admin + "/debug/pprof/" + kind + "?" + query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("profile %s: %s", kind, resp.Status)
	}
	name = strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' || r == '/' {
			return '-'
		}
		return r
	}, name)
	f, err := os.Create(filepath.Join(profiles, name+"."+kind+".pprof"))
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, resp.Body); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// profileRun repeats a scenario while CPU and allocations are recorded for five seconds.
func (s scenario) profileRun(w path, p payload) error {
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	over := make(chan struct{})
	for _, kind := range []string{"profile", "allocs"} {
		wg.Go(func() { errs <- profile(w.admin, kind, "seconds=5", s.name) })
	}
	go func() { wg.Wait(); close(over) }()
	for {
		select {
		case <-over:
			close(errs)
			for err := range errs {
				if err != nil {
					return err
				}
			}
			return nil
		default:
			if _, err := s.run(w.client, p); err != nil {
				return err
			}
		}
	}
}
