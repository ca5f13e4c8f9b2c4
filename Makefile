# Everything here is a plain Go command or a script of .ci; nothing needs make.

.PHONY: build test bench lint full

build:
	go build -trimpath -o s3veil ./cmd/s3veil

test:
	go test ./...

bench:
	go run ./test/bench

lint:
	.ci/lint

full:
	.ci/full
