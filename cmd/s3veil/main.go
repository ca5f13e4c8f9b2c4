// Command s3veil is an encrypting reverse proxy for S3: clients see plain S3, the store sees ciphertext.
//
// This package is the only place that knows flags, environment, YAML and exit codes. `s3veil serve` runs the proxy,
// `s3veil dev` runs it in front of an embedded store, `s3veil keys` looks after local key files. The struct Config is the
// manual of the configuration; docs/CONFIGURATION.md is made from it.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := harden(); err != nil {
		fmt.Fprintln(os.Stderr, "s3veil: cannot switch core dumps off:", err)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	p := &program{env: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, signals: signals}
	os.Exit(p.run(os.Args[1:]))
}
