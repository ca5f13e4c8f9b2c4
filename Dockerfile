# The image of s3veil: one static program and the CA certificates, as user 65532, nothing else.
#
#   podman build -t s3veil .                      # or docker, buildah
#   podman build -t s3veil:fips --target fips .   # with Go's validated cryptographic module, FIPS 140-3 mode on
#
# GO_IMAGE needs Go, a shell and the CA certificates; BASE_IMAGE may be any base for static programs. With both at hand and the
# modules in a volume the build needs no network (.ci/image does so). The same sources, arguments and Go give the same program.
ARG GO_IMAGE=docker.io/library/golang:1.26-bookworm
ARG BASE_IMAGE=scratch

FROM ${GO_IMAGE} AS sources
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-trimpath -buildvcs=false -tags=nodevstore"
ARG GOPROXY=https://proxy.golang.org
COPY go.mod go.sum ./
RUN go mod download
COPY . .

FROM sources AS build
ARG VERSION=devel
ARG COMMIT=unknown
RUN go build -ldflags "-s -w -X main.stampedVersion=${VERSION} -X main.stampedCommit=${COMMIT}" -o /out/s3veil ./cmd/s3veil

FROM sources AS build-fips
ARG VERSION=devel
ARG COMMIT=unknown
RUN GOFIPS140=certified go build -ldflags "-s -w -X main.stampedVersion=${VERSION} -X main.stampedCommit=${COMMIT}" -o /out/s3veil ./cmd/s3veil

FROM ${BASE_IMAGE} AS fips
COPY --from=build-fips /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build-fips /out/s3veil /s3veil
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/s3veil"]
CMD ["serve", "--config", "/etc/s3veil/s3veil.yaml"]

FROM ${BASE_IMAGE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/s3veil /s3veil
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/s3veil"]
CMD ["serve", "--config", "/etc/s3veil/s3veil.yaml"]
