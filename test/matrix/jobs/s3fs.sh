#!/bin/sh
# A mount: files written, appended to, renamed, read at random, listed with their sizes, removed.
set -eu
mkdir -p "$WORK/mnt" "$WORK/cache"
printf '%s:%s' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" > "$WORK/passwd"
chmod 600 "$WORK/passwd"
[ -z "${AWS_CA_BUNDLE:-}" ] || export CURL_CA_BUNDLE=$AWS_CA_BUNDLE
s3fs "$S3_BUCKET" "$WORK/mnt" -o "passwd_file=$WORK/passwd,url=$S3_ENDPOINT,use_path_request_style,endpoint=us-east-1,sigv4,multipart_size=10"
trap 'cd /; fusermount -u "$WORK/mnt" || true' EXIT
cd "$WORK/mnt"
mkdir dir
printf hello > dir/a
printf ' world' >> dir/a
cat dir/a; echo
dd if=/dev/zero of=large bs=1M count=25 2>/dev/null
printf x | dd of=large bs=1 seek=12345678 conv=notrunc 2>/dev/null
sha256sum large
mv dir/a dir/b
cp large dir/copy
dd if=dir/copy bs=1 skip=12345678 count=1 2>/dev/null; echo
stat -c '%n %s' dir/* large
rm large
ls -R
