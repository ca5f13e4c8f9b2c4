#!/bin/sh
# mirror that converges, pipes, partial reads, sizes.
set -eu
mkdir -p "$WORK/src/sub" "$WORK/mc/certs/CAs"
[ -z "${AWS_CA_BUNDLE:-}" ] || cp "$AWS_CA_BUNDLE" "$WORK/mc/certs/CAs/"
set -- "$MC" --config-dir "$WORK/mc" --quiet
"$@" alias set x "$S3_ENDPOINT" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >/dev/null
printf one > "$WORK/src/a"
dd if=/dev/zero of="$WORK/src/sub/large" bs=1M count=70 2>/dev/null
"$@" mirror "$WORK/src" "x/$S3_BUCKET/m" >/dev/null
"$@" mirror "$WORK/src" "x/$S3_BUCKET/m" --json | grep -c '"source"' || true
printf piped | "$@" pipe "x/$S3_BUCKET/piped" >/dev/null
"$@" cat "x/$S3_BUCKET/piped"; echo
"$@" head -n 1 "x/$S3_BUCKET/m/a"; echo
"$@" cp -r "x/$S3_BUCKET/m/" "$WORK/back" >/dev/null
diff -r "$WORK/src" "$WORK/back" && echo same
"$@" ls -r --json "x/$S3_BUCKET" | sed 's/.*"size":\([0-9]*\).*"key":"\([^"]*\)".*/\2 \1/'
"$@" rm -r --force "x/$S3_BUCKET/m" | wc -l
