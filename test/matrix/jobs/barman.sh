#!/bin/sh
# What PostgreSQL under barman does all day: WAL files up, compressed or not, and down again.
set -eu
wal=$WORK/000000010000000000000001
dd if=/dev/zero of="$wal" bs=1M count=16 2>/dev/null
printf 'a segment' | dd of="$wal" conv=notrunc 2>/dev/null
for mode in "" --gzip; do
  # shellcheck disable=SC2086  # a flag or nothing
  "$BARMAN/barman-cloud-wal-archive" $mode --endpoint-url "$S3_ENDPOINT" "s3://$S3_BUCKET/base" "server$mode" "$wal"
  "$BARMAN/barman-cloud-wal-restore" --endpoint-url "$S3_ENDPOINT" "s3://$S3_BUCKET/base" "server$mode" 000000010000000000000001 "$WORK/back$mode"
  cmp "$wal" "$WORK/back$mode" && echo same
done
"$BARMAN/barman-cloud-backup-list" --endpoint-url "$S3_ENDPOINT" "s3://$S3_BUCKET/base" server
