#!/usr/bin/env bash
# usage: docs/drill.sh [--program s3veil] [--config s3veil.yaml] [--keys keys.json] [--port 18082]
#
# The disaster drill of RECOVERY.md 7: writes objects through s3veil into a bucket of its own, loses their manifests and repairs
# them, restores the bucket under another name past s3veil, reads that with a second s3veil and with the independent decoder,
# and compares everything with what it wrote. Needs aws-cli and boto3 with the profiles "veil" (through s3veil) and "store"
# (past it), python3 with the package cryptography, curl. --keys is the key file, or a program that unwraps (RECOVERY.md 6).
# The bucket rule that fits "s3veil-drill-*" must not map names, nor use reserved_bucket.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=s3veil config=s3veil.yaml keys=keys.json port=${S3VEIL_DRILL_PORT:-18082}
while [ $# -gt 1 ]; do
  case $1 in
    --program) program=$2 ;; --config) config=$2 ;; --keys) keys=$2 ;; --port) port=$2 ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
[ $# = 0 ] || { echo "what is $1?" >&2; exit 2; }

bucket=s3veil-drill-$(od -An -N6 -tx1 /dev/urandom | tr -d ' ')
restored=$bucket-restored work=$(mktemp -d) second=
veil() { aws --profile veil "$@"; }
store() { aws --profile store "$@"; }
done_with() { printf 'ok: %s\n' "$*"; }

clean() {
  # a proxy has nothing to flush
  [ -z "$second" ] || { kill -KILL "$second" && wait "$second"; } 2>/dev/null || true
  for b in "$bucket" "$restored"; do store s3 rb --force "s3://$b" >/dev/null 2>&1 || true; done
  rm -rf "$work"
}
trap clean EXIT

head -c 20000000 /dev/urandom >"$work/large"
head -c 100000 /dev/urandom >"$work/small"
veil s3 mb "s3://$bucket" >/dev/null
for f in large small; do veil s3 cp --quiet --metadata "drill=$f" "$work/$f" "s3://$bucket/$f"; done
store s3api head-object --bucket "$bucket" --key small --query Metadata.s3veil --output text | grep -q '^1\.'
done_with 'objects written, encrypted at the store'

store s3 rm --quiet --recursive "s3://$bucket/.s3veil/m/"
"$program" repair "s3://$bucket/large" --config "$config" --yes >/dev/null
veil s3 cp --quiet "s3://$bucket/large" "$work/repaired"
cmp "$work/repaired" "$work/large"
done_with 'manifest lost, repaired, read'

store s3 mb "s3://$restored" >/dev/null
sed -n '/^```python file=copy_bucket.py/,/^```$/p' "$here/RECOVERY.md" | sed '1d;$d' >"$work/copy_bucket.py"
python3 "$work/copy_bucket.py" store "$bucket" store "$restored"
S3VEIL_LISTEN=127.0.0.1:$port S3VEIL_ADMIN=off S3VEIL_AUDIT_TO=off S3VEIL_FORWARD_LISTEN=127.0.0.1:0 \
  S3VEIL_BUCKETS="[{\"name\": \"$restored\", \"bound_name\": \"$bucket\", \"realm\": \"$bucket\"}]" \
  "$program" serve --config "$config" 2>"$work/log" &
second=$!
endpoint=
for _ in $(seq 60); do
  kill -0 "$second" 2>/dev/null || { cat "$work/log"; exit 1; }
  for scheme in http https; do
    [ -n "$endpoint" ] || ! curl --silent --insecure --output /dev/null "$scheme://127.0.0.1:$port/" || endpoint=$scheme://127.0.0.1:$port
  done
  [ -z "$endpoint" ] || break
  sleep 0.5
done
[ -n "$endpoint" ] || { cat "$work/log"; exit 1; }
for f in large small; do
  veil --endpoint-url "$endpoint" --no-verify-ssl s3 cp --quiet "s3://$restored/$f" "$work/again"
  cmp "$work/again" "$work/$f"
  [ "$(veil --endpoint-url "$endpoint" --no-verify-ssl s3api head-object --bucket "$restored" --key "$f" --query Metadata.drill --output text)" = "$f" ]
done
done_with 'restored into another bucket, read through s3veil'

unwrap=--keys
[ "${keys%.json}" != "$keys" ] || unwrap=--unwrap
for f in large small; do
  store s3api get-object --bucket "$restored" --key "$f" "$work/body" >"$work/meta"
  store s3 cp --quiet --recursive "s3://$restored/.s3veil/m/" "$work/manifests/"
  python3 "$here/../test/decoder/s3veil_decode.py" "$unwrap" "$keys" --bound "$bucket" --realm "$bucket" --key "$f" \
    --body "$work/body" --meta "$work/meta" --manifest "$work"/manifests/* --out "$work/plain"
  cmp "$work/plain" "$work/$f"
  rm "$work/plain"
done
done_with 'read without s3veil'
echo 'the drill has passed'
