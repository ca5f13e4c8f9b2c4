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
    curl=curl python3=python3
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
