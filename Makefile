# Everything here is a plain Go command or a script of .ci; nothing needs make.

.PHONY: build fips test bench lint full

build:
	go build -trimpath -o s3veil ./cmd/s3veil

# With the validated Go cryptographic module, FIPS 140-3 mode on (docs/OPERATIONS.md 10).
fips:
	GOFIPS140=certified go build -trimpath -tags nodevstore -o s3veil-fips ./cmd/s3veil

test:
	go test ./...

bench:
	go run ./test/bench

lint:
	.ci/lint

full:
	.ci/full
