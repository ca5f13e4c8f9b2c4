#!/bin/sh
# s3cmd: sync both ways until there is nothing to do, multipart, copies, changed metadata, signed URLs, removal.
set -eu
host=${S3_ENDPOINT#*://}
case $S3_ENDPOINT in https*) https=True ;; *) https=False ;; esac
cat > "$WORK/s3cfg" <<END
[default]
access_key = $AWS_ACCESS_KEY_ID
secret_key = $AWS_SECRET_ACCESS_KEY
host_base = $host
host_bucket = $host
use_https = $https
ca_certs_file = ${AWS_CA_BUNDLE:-}
bucket_location = us-east-1
multipart_chunk_size_mb = 5
END
mkdir -p "$WORK/src/sub dir" "$WORK/back"
printf one > "$WORK/src/a"
: > "$WORK/src/empty"
dd if=/dev/zero of="$WORK/src/sub dir/large+u" bs=1M count=12 2>/dev/null
s3cmd() { command s3cmd -c "$WORK/s3cfg" --no-progress "$@"; }
s3cmd sync "$WORK/src/" "s3://$S3_BUCKET/t/" >/dev/null
echo "again: $(s3cmd sync "$WORK/src/" "s3://$S3_BUCKET/t/" | grep -c '^upload' || true)"
s3cmd sync "s3://$S3_BUCKET/t/" "$WORK/back/" >/dev/null
echo "again: $(s3cmd sync "s3://$S3_BUCKET/t/" "$WORK/back/" | grep -c '^download' || true)"
diff -r "$WORK/src" "$WORK/back" && echo same
s3cmd cp "s3://$S3_BUCKET/t/a" "s3://$S3_BUCKET/copy" >/dev/null
s3cmd modify --add-header=x-amz-meta-new:1 "s3://$S3_BUCKET/copy" >/dev/null
s3cmd info "s3://$S3_BUCKET/copy" | grep -E 'File size|x-amz-meta-new'
s3cmd mv "s3://$S3_BUCKET/copy" "s3://$S3_BUCKET/moved" >/dev/null
s3cmd ls -r "s3://$S3_BUCKET" | sed 's/^[0-9-]* [0-9:]* *//'
s3cmd du "s3://$S3_BUCKET/t/" | awk '{print $1, $2}'
s3cmd del "s3://$S3_BUCKET/moved" >/dev/null
