#!/bin/sh
# s5cmd: parallel copies, a sync that converges, pipes, sizes, moves, removal by pattern.
set -eu
mkdir -p "$WORK/src/sub dir"
for i in 1 2 3 4 5 6 7 8; do printf 'file %s' "$i" > "$WORK/src/$i.txt"; done
dd if=/dev/zero of="$WORK/src/sub dir/large+ü" bs=1M count=23 2>/dev/null
find "$WORK/src" -type f -exec touch -d 2020-01-02 {} + # older than what is uploaded, whatever the clock says
s5cmd() { "$CLI/s5cmd" --endpoint-url "$S3_ENDPOINT" "$@"; }
s5cmd cp --part-size 5 "$WORK/src/*" "s3://$S3_BUCKET/t/" | wc -l
echo "again $(s5cmd sync --size-only "$WORK/src/*" "s3://$S3_BUCKET/t/" | wc -l)"
s5cmd sync --delete "$WORK/src/*" "s3://$S3_BUCKET/u/" | wc -l
echo "again $(s5cmd sync --delete "$WORK/src/*" "s3://$S3_BUCKET/u/" | wc -l)"
s5cmd cp --part-size 5 --concurrency 3 "s3://$S3_BUCKET/t/*" "$WORK/back/" >/dev/null
diff -r "$WORK/src" "$WORK/back" && echo same
printf piped | s5cmd pipe "s3://$S3_BUCKET/piped" >/dev/null
s5cmd cat "s3://$S3_BUCKET/piped"; echo
s5cmd mv "s3://$S3_BUCKET/piped" "s3://$S3_BUCKET/moved" >/dev/null
s5cmd cp "s3://$S3_BUCKET/t/*" "s3://$S3_BUCKET/copied/" >/dev/null
s5cmd du "s3://$S3_BUCKET/*"
s5cmd rm "s3://$S3_BUCKET/u/*.txt" | wc -l
s5cmd ls "s3://$S3_BUCKET/*" | awk '{print $3, $4, $5}' | sort
