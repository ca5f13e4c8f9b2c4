# Common to the scripts of this directory: where they run, how they report, what they install.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# step NAME COMMAND...: runs a command with a heading and its duration.
step() {
  local name=$1 begin=$SECONDS
  shift
  printf '\n=== %s\n' "$name"
  "$@"
  printf '=== %s: ok, %d s (%d s in all)\n' "$name" "$((SECONDS - begin))" "$SECONDS"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need PROGRAM=PACKAGE...: installs the Debian packages of the programs that are missing.
need() {
  local missing=() pair
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null 2>&1 || missing+=("${pair#*=}")
  done
  [ "${#missing[@]}" -eq 0 ] && return
  as_root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# install_clients: the stores and clients of the integration tests that are not Go.
install_clients() {
  need radosgw=radosgw ceph-mon=ceph-mon ceph-osd=ceph-osd ceph=ceph-common rclone=rclone s3cmd=s3cmd restic=restic \
    curl=curl python3=python3 node=nodejs javac=default-jdk-headless mvn=maven \
    haproxy=haproxy softhsm2-util=softhsm2 pkcs11-tool=opensc gcc=gcc chromium=chromium \
    strace=strace systemd-analyze=systemd openssl=openssl
  # aws-cli and boto3 of a generation that sends checksum trailers; a private environment where the machine has none
  local want='import boto3, cryptography, sys; sys.exit(tuple(map(int, boto3.__version__.split(".")[:2])) < (1, 43))'
  if python3 -c "$want" 2>/dev/null && command -v aws >/dev/null 2>&1 && command -v moto_server >/dev/null 2>&1; then
    export S3VEIL_TEST_PYTHON=python3
    return
  fi
  local venv=${XDG_CACHE_HOME:-$HOME/.cache}/s3veil-clients
  if ! "$venv/bin/python" -c "$want" 2>/dev/null || [ ! -x "$venv/bin/moto_server" ]; then
    python3 -m venv "$venv" 2>/dev/null || { need no-such-program=python3-venv; python3 -m venv "$venv"; }
    "$venv/bin/pip" install --quiet 'boto3==1.43.11' 'awscli==1.45.11' 'cryptography==48.0.0' 'moto[server]==5.2.1'
  fi
  export S3VEIL_TEST_PYTHON=$venv/bin/python PATH=$venv/bin:$PATH
}

# tagged_packages: the packages that have tests behind the build tag integration.
tagged_packages() {
  git grep -l '^//go:build integration' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|'
}

# install_prometheus: promtool and prometheus out of Debian's package, unpacked into the cache and not installed, since
# installing it starts a server.
install_prometheus() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/s3veil-prometheus dir
  need jq=jq curl=curl # what the runbooks use
  export S3VEIL_TEST_PROMETHEUS=$cache/usr/bin
  [ -x "$S3VEIL_TEST_PROMETHEUS/promtool" ] && return
  dir=$(mktemp -d)
  as_root apt-get update -qq
  (cd "$dir" && apt-get download -qq prometheus)
  mkdir -p "$cache"
  dpkg-deb -x "$dir"/prometheus_*.deb "$cache"
  rm -rf "$dir"
}

vault_version=v1.13.1

vault_cache() {
  echo "${XDG_CACHE_HOME:-$HOME/.cache}/s3veil-vault/$vault_version-$(sha256sum .ci/vault/main.go | cut -c1-12)"
}

vault_is_built() { [ -x "$(vault_cache)/vault" ]; }

# build_vault: the Vault server of the integration tests, built once per version into the cache. It has a module of its own
# outside the repository, because no module here may require Vault. Vault's own go.mod replaces its SDK by a folder of its
# repository, so its list of modules is taken over with the published SDK that fits. About 2 minutes cold, 80 MB.
build_vault() {
  local version=$vault_version sdk=v0.8.1 source=$PWD/.ci/vault/main.go cache dir mod
  cache=$(vault_cache)
  export S3VEIL_TEST_VAULT=$cache/vault
  [ -x "$S3VEIL_TEST_VAULT" ] && return
  dir=$(mktemp -d)
  (
    cd "$dir"
    printf 'module vaultserver\n\ngo 1.21\n' >go.mod
    mod=$(go mod download -json "github.com/hashicorp/vault@$version" | sed -n 's/.*"GoMod": "\(.*\)",.*/\1/p')
    sed -E -e 's/^module .*/module vaultserver/' -e '/^replace github.com\/hashicorp\/vault.*=> \.\//d' "$mod" >go.mod
    printf '\nrequire github.com/hashicorp/vault %s\nreplace github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk %s\n' \
      "$version" "$sdk" >>go.mod
    cp "$source" main.go
    mkdir -p "$cache"
    CGO_ENABLED=0 GOFLAGS=-mod=mod go build -ldflags '-s -w' -o "$cache/vault" .
  )
  rm -rf "$dir"
}

# install_google: Google's own client of Cloud KMS, against which the double of that API is checked.
install_google() {
  local venv=${XDG_CACHE_HOME:-$HOME/.cache}/s3veil-google-3.18.0
  export S3VEIL_TEST_GOOGLE_PYTHON=$venv/bin/python
  "$S3VEIL_TEST_GOOGLE_PYTHON" -c 'import google.cloud.kms_v1, google_crc32c, requests' 2>/dev/null && return
  python3 -m venv "$venv" 2>/dev/null || { need no-such-program=python3-venv; python3 -m venv "$venv"; }
  "$venv/bin/pip" install --quiet 'google-cloud-kms==3.18.0' 'google-crc32c==1.9.0' 'requests==2.34.2'
}

# install_minio: MinIO in a cache of its own; it compiles for eight minutes.
install_minio() {
  local version=v0.0.0-20260212201848-7aac2a2c5b7c
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/s3veil-minio/$version
  [ -x "$cache/minio" ] || GOBIN=$cache go install "github.com/minio/minio@$version"
  export S3VEIL_TEST_MINIO=$cache/minio
}

chart_cache() { echo "${XDG_CACHE_HOME:-$HOME/.cache}/s3veil-helm/v3.22.0-0.8.0"; }

chart_tools_are_built() { [ -x "$(chart_cache)/helm" ]; }

# install_chart_tools: Helm, kubeconform, and the API description of Kubernetes that the schemas are made from.
install_chart_tools() {
  local cache kubernetes
  cache=$(chart_cache)
  [ -x "$cache/kubeconform" ] || GOBIN=$cache go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
  [ -x "$cache/helm" ] || GOBIN=$cache go install helm.sh/helm/v3/cmd/helm@v3.22.0
  kubernetes=$(cd / && go mod download -json k8s.io/kubernetes@v1.36.3 | sed -n 's/.*"Dir": "\(.*\)",.*/\1/p')
  export S3VEIL_TEST_HELM=$cache/helm S3VEIL_TEST_KUBECONFORM=$cache/kubeconform
  export S3VEIL_TEST_KUBE_SWAGGER=$kubernetes/api/openapi-spec/swagger.json
}

# install_recipes: the programs of docs/RECIPES.md. The client of Thanos, Mimir and Loki has a module of its own outside the
# repository, as Vault has; a minute and a half cold.
install_recipes() {
  local venv=${XDG_CACHE_HOME:-$HOME/.cache}/s3veil-barman-3.19.1 cache=${XDG_CACHE_HOME:-$HOME/.cache}/s3veil-objstore/20250804 source=$PWD/.ci/objstore/accept_test.go dir
  need pg_ctlcluster=postgresql psql=postgresql-client pgbackrest=pgbackrest restic=restic rclone=rclone unshare=util-linux
  export S3VEIL_TEST_BARMAN=$venv/bin S3VEIL_TEST_OBJSTORE=$cache/accept
  if [ ! -x "$venv/bin/barman-cloud-backup" ]; then
    python3 -m venv "$venv" 2>/dev/null || { need no-such-program=python3-venv; python3 -m venv "$venv"; }
    "$venv/bin/pip" install --quiet 'barman[cloud]==3.19.1' 'psycopg2-binary==2.9.13'
  fi
  [ -x "$S3VEIL_TEST_OBJSTORE" ] && return
  dir=$(mktemp -d)
  (
    cd "$dir"
    printf 'module accept\n\ngo 1.24\n' >go.mod
    cp "$source" .
    GOFLAGS=-mod=mod go get github.com/thanos-io/objstore@v0.0.0-20250804093838-71d60dfee488
    GOFLAGS=-mod=mod go get -t .
    mkdir -p "$cache"
    GOFLAGS=-mod=mod go test -c -o "$cache/accept" .
  )
  rm -rf "$dir"
}
