#!/bin/sh
# restic: init, two backups, check of every pack, restore, forget with prune, check again.
set -eu
export RESTIC_REPOSITORY="s3:$S3_ENDPOINT/$S3_BUCKET/repo" RESTIC_PASSWORD=test RESTIC_CACHE_DIR="$WORK/cache"
mkdir -p "$WORK/src/sub dir"
printf one > "$WORK/src/a"
: > "$WORK/src/empty"
openssl enc -aes-128-ctr -K 00000000000000000000000000000000 -iv 00000000000000000000000000000000 -in /dev/zero 2>/dev/null | head -c 20000003 > "$WORK/src/sub dir/large"
restic() { command restic ${AWS_CA_BUNDLE:+--cacert "$AWS_CA_BUNDLE"} --quiet "$@"; }
restic init
restic backup "$WORK/src"
printf two > "$WORK/src/a"
restic backup "$WORK/src"
restic check --read-data && echo whole
restic restore latest --target "$WORK/back"
diff -r "$WORK/src" "$WORK/back$WORK/src" && echo same
restic snapshots --json | grep -o '"short_id"' | wc -l
restic forget --prune --keep-last 1 >/dev/null
restic check --read-data && echo whole
restic find --json a | grep -o '"size":[0-9]*'
