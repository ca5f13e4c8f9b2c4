#!/bin/sh
# aws-cli with both checksum settings: cp, a sync that converges, moves, ranges, conditional writes, presigned URLs, removal.
set -eu
mkdir -p "$WORK/src/sub dir"
printf one > "$WORK/src/a"
: > "$WORK/src/empty"
dd if=/dev/zero bs=1M count=21 2>/dev/null | tr '\0' x > "$WORK/src/sub dir/large+ü"
mkdir -p "$HOME/.aws"
printf '[default]\ns3 =\n  signature_version = s3v4\n' > "$HOME/.aws/config" # presigned URLs of version 4, which the bare store takes
aws() { "$CLI/aws" --endpoint-url "$S3_ENDPOINT" "$@"; }
for when in when_supported when_required; do
  export AWS_REQUEST_CHECKSUM_CALCULATION=$when AWS_RESPONSE_CHECKSUM_VALIDATION=$when
  url=s3://$S3_BUCKET/$when
  aws s3 sync --only-show-errors "$WORK/src" "$url"
  echo "again: $(aws s3 sync --size-only --no-progress "$WORK/src" "$url")"
  aws s3 cp --only-show-errors --recursive "$url" "$WORK/back-$when"
  diff -r "$WORK/src" "$WORK/back-$when" && echo same
  aws s3 cp --only-show-errors "$url/sub dir/large+ü" "$url/copied"
  aws s3 mv --only-show-errors "$url/copied" "$url/moved"
  printf piped | aws s3 cp --only-show-errors - "$url/piped"
  aws s3 cp --only-show-errors "$url/piped" -; echo
  aws s3api get-object --bucket "$S3_BUCKET" --key "$when/moved" --range bytes=8388600-8388620 "$WORK/range" --query '[ContentLength, ContentRange]' --output text
  aws s3api put-object --bucket "$S3_BUCKET" --key "$when/piped" --body "$WORK/src/a" --if-none-match '*' >/dev/null 2>"$WORK/error" || grep -o PreconditionFailed "$WORK/error"
  curl -fsS ${AWS_CA_BUNDLE:+--cacert "$AWS_CA_BUNDLE"} "$(aws s3 presign "$url/a")"; echo
  aws s3 ls --recursive --summarize "$url" | sed 's/^[0-9-]* [0-9:]* *//'
done
aws s3 rm --only-show-errors --recursive "s3://$S3_BUCKET/when_required"
aws s3api list-objects-v2 --bucket "$S3_BUCKET" --query 'Contents[].[Key, Size]' --output text
