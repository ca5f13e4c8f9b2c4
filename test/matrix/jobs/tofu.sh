#!/bin/sh
# OpenTofu (Terraform's S3 backend): state with a lock file, which is a conditional write; a second run that changes nothing, a
# lock held by somebody else, workspaces, a state that is moved away and back.
set -eu
mkdir -p "$WORK/tf"
cd "$WORK/tf"
[ -z "${AWS_CA_BUNDLE:-}" ] || authority="custom_ca_bundle = \"$AWS_CA_BUNDLE\""
backend() {
  cat > backend.tf <<END
terraform {
  backend "s3" {
    bucket = "$S3_BUCKET"
    key = "state/prod.tfstate"
    region = "us-east-1"
    endpoints = { s3 = "$S3_ENDPOINT" }
    use_lockfile = true
    encrypt = $1
    use_path_style = true
    skip_credentials_validation = true
    skip_requesting_account_id = true
    skip_metadata_api_check = true
    skip_region_validation = true
    ${authority:-}
  }
}
END
}
cat > main.tf <<'END'
variable "input" { default = "one" }
resource "terraform_data" "x" {
  count = 50
  input = "${var.input}-${count.index}"
}
output "last" { value = terraform_data.x[49].output }
END
touch "$WORK/tofurc"
export TF_CLI_CONFIG_FILE="$WORK/tofurc" TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1
backend false
"$TOFU" init -no-color >/dev/null
"$TOFU" apply -no-color -auto-approve >/dev/null
"$TOFU" output -no-color -raw last; echo
"$TOFU" plan -no-color -detailed-exitcode >/dev/null && echo "nothing to do"
"$TOFU" apply -no-color -auto-approve -var input=two | grep 'Apply complete'
printf '{"ID":"3f9f1a52-0000-4000-8000-000000000001","Operation":"OperationTypeApply","Who":"somebody","Created":"2026-01-02T03:04:05Z","Path":"x"}' > "$WORK/lock"
"$CLI/aws" --endpoint-url "$S3_ENDPOINT" s3api put-object --bucket "$S3_BUCKET" --key state/prod.tfstate.tflock --body "$WORK/lock" --if-none-match '*' >/dev/null
"$TOFU" apply -no-color -auto-approve -var input=three >"$WORK/out" 2>&1 || grep -oE 'Error acquiring the state lock|Who: *somebody' "$WORK/out"
"$TOFU" force-unlock -no-color -force 3f9f1a52-0000-4000-8000-000000000001 | head -1
"$TOFU" plan -no-color -detailed-exitcode -var input=two >/dev/null && echo "nothing to do"
"$TOFU" workspace new -no-color other >/dev/null
"$TOFU" apply -no-color -auto-approve | grep 'Apply complete'
"$TOFU" workspace list -no-color
"$TOFU" workspace select -no-color default >/dev/null
"$TOFU" state pull | grep -c '"index_key"'
backend true
"$TOFU" init -no-color -reconfigure >/dev/null
"$TOFU" destroy -no-color -auto-approve | grep 'Destroy complete'
"$TOFU" state list | wc -l
