//go:build integration

package docs

import (
	"strings"
	"testing"

	"s3veil/test/servers"
)

// The program that asks AWS KMS for the decoder reads what s3veil has written under a key there. The KMS is moto's.
func TestRecoveryWithAKeyInAWSKMS(t *testing.T) {
	s, kms := newStory(t), servers.MustMoto(t)
	s.play(block{page: "the start", lang: "sh", mark: markRun, text: `
export AWS_ACCESS_KEY_ID=AKIATEST AWS_SECRET_ACCESS_KEY=secret AWS_DEFAULT_REGION=eu-central-1 AWS_ENDPOINT_URL_KMS=` + kms + `
export KEY=$(aws kms create-key --query KeyMetadata.Arn --output text)
umask 077
cat > s3veil.yaml <<END` + startConfig + `kms:
  keys:
    - {id: prod, provider: awskms, key: "$KEY", endpoint: "` + kms + `", credentials: {access_key: AKIATEST, secret_key: secret}}
audit: {to: "off"}
END
`})
	s.play(block{page: "the start", lang: "sh", mark: markServe, text: "./s3veil serve --config s3veil.yaml"})
	for _, b := range blocks(t, "docs/RECOVERY.md") {
		if b.story == "kms" {
			s.play(b)
		}
	}
	s.play(block{page: "the end", lang: "sh", mark: markRun, text: `
curl --silent --show-error --retry 60 --retry-delay 1 --retry-connrefused http://127.0.0.1:8081/readyz
veil() { AWS_ACCESS_KEY_ID=app AWS_SECRET_ACCESS_KEY=app-secret-key AWS_DEFAULT_REGION=us-east-1 aws --endpoint-url http://127.0.0.1:8080 "$@"; }
store() { AWS_ACCESS_KEY_ID=store-access-key AWS_SECRET_ACCESS_KEY=store-secret-key AWS_DEFAULT_REGION=us-east-1 aws --endpoint-url http://127.0.0.1:9000 "$@"; }
veil s3 mb s3://photos
echo 'a picture' > picture
veil s3 cp picture s3://photos/picture
store s3api get-object --bucket photos --key picture object.body > object.json
python3 test/decoder/s3veil_decode.py --unwrap ./unwrap --bound photos --realm photos --key picture --body object.body --meta object.json --out object
cmp object picture && echo the same
KEY=$(aws kms create-key --query KeyMetadata.Arn --output text)
python3 test/decoder/s3veil_decode.py --unwrap ./unwrap --bound photos --realm photos --key picture --body object.body --meta object.json --out other || echo refused
`})
	if !strings.Contains(s.output, "the same") || !strings.Contains(s.output, "refused") {
		t.Error(s.output)
	}
}
