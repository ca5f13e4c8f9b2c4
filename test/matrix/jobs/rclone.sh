#!/bin/sh
# rclone: copy, sync and check until there is nothing to do, removal by sync, pipes, partial reads, server-side copies.
set -eu
export RCLONE_CONFIG=$WORK/rclone.conf RCLONE_CONFIG_X_TYPE=s3 RCLONE_CONFIG_X_PROVIDER=Other RCLONE_CONFIG_X_ENV_AUTH=true \
  RCLONE_CONFIG_X_ENDPOINT="$S3_ENDPOINT" RCLONE_CONFIG_X_REGION=us-east-1 RCLONE_CONFIG_X_CHUNK_SIZE=5Mi \
  RCLONE_CONFIG_X_UPLOAD_CUTOFF=10Mi RCLONE_CONFIG_X_COPY_CUTOFF=10Mi RCLONE_RETRIES=1
[ -z "${AWS_CA_BUNDLE:-}" ] || export RCLONE_CA_CERT="$AWS_CA_BUNDLE"
unset AWS_CA_BUNDLE
: > "$RCLONE_CONFIG"
mkdir -p "$WORK/src/sub dir"
printf one > "$WORK/src/a"
: > "$WORK/src/empty"
dd if=/dev/zero of="$WORK/src/sub dir/large+ü" bs=1M count=23 2>/dev/null
# work COMMAND...: how many files were copied or removed
work() { rclone "$@" -v 2>&1 | grep -cE ': (Copied|Deleted)' || true; }
echo "copy $(work copy "$WORK/src" "x:$S3_BUCKET/t")"
echo "again $(work copy "$WORK/src" "x:$S3_BUCKET/t")"
rclone check "$WORK/src" "x:$S3_BUCKET/t" 2>&1 | grep -oE '[0-9]+ differences found'
rclone check --download "$WORK/src" "x:$S3_BUCKET/t" 2>&1 | grep -oE '[0-9]+ differences found'
printf other > "$WORK/src/a"
rm "$WORK/src/empty"
echo "sync $(work sync "$WORK/src" "x:$S3_BUCKET/t")"
echo "again $(work sync "$WORK/src" "x:$S3_BUCKET/t")"
echo "down $(work sync "x:$S3_BUCKET/t" "$WORK/back")"
echo "again $(work sync "x:$S3_BUCKET/t" "$WORK/back")"
diff -r "$WORK/src" "$WORK/back" && echo same
rclone copyto "x:$S3_BUCKET/t/sub dir/large+ü" "x:$S3_BUCKET/server side"
printf piped | rclone rcat "x:$S3_BUCKET/piped"
rclone cat "x:$S3_BUCKET/piped"; echo
rclone cat --offset 5242878 --count 4 "x:$S3_BUCKET/server side" | od -An -tx1
rclone touch --timestamp 2020-01-02T03:04:05 "x:$S3_BUCKET/t/a"
rclone lsf -R --format pst "x:$S3_BUCKET" | sed '/2020-01-02/!s/;[^;]*$//'
rclone size --json "x:$S3_BUCKET"; echo
