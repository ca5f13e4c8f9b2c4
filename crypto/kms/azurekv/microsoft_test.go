package azurekv

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"s3veil/crypto/kms"
)

// TestMicrosoftsClientUnderstandsTheFake: what the adapter is tested against must speak the API as Microsoft's own client does.
// It opens blobs of the adapter and makes them for it.
func TestMicrosoftsClientUnderstandsTheFake(t *testing.T) {
	f, endpoint := newFake(t)
	f.create("main")
	f.create("rsa")
	f.token = "token-1"
	secure := httptest.NewTLSServer(f) // the client sends no token over plain http
	t.Cleanup(secure.Close)
	client, err := azkeys.NewClient(secure.URL, &tokens{life: time.Hour}, &azkeys.ClientOptions{DisableChallengeResourceVerification: true,
		ClientOptions: policy.ClientOptions{Transport: secure.Client(), Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, options(hsm+"/keys/main", endpoint))
	key, blob, err := p.Generate(t.Context(), p.key, realm())
	if err != nil {
		t.Fatal(err)
	}
	version := keyVersion(blob[1:17])
	aes, oaep := azkeys.EncryptionAlgorithmA256KW, azkeys.EncryptionAlgorithmRSAOAEP256
	opened, err := client.UnwrapKey(t.Context(), "main", version.String(), azkeys.KeyOperationParameters{Algorithm: &aes, Value: blob[17:]}, nil)
	if err != nil || !bytes.Equal(opened.Result, key[:]) {
		t.Errorf("the client got another key: %v", err)
	}
	given := bytes.Repeat([]byte{7}, 32)
	made, err := client.WrapKey(t.Context(), "main", "", azkeys.KeyOperationParameters{Algorithm: &aes, Value: given}, nil)
	if err != nil {
		t.Fatal(err)
	}
	answered, ok := versionOf(string(*made.KID), "main")
	if back, err := p.Unwrap(t.Context(), p.key, append(append([]byte{blobFormat}, answered[:]...), made.Result...), realm()); !ok || err != nil || back != kms.Key32(given) {
		t.Errorf("a blob of the client: %v", err)
	}
	made, err = client.WrapKey(t.Context(), "rsa", "", azkeys.KeyOperationParameters{Algorithm: &oaep, Value: given}, nil)
	if err != nil {
		t.Fatal(err)
	}
	answered, _ = versionOf(string(*made.KID), "rsa")
	if back, err := p.unwrap(t.Context(), "rsa", answered, algRSA, made.Result); err != nil || back != kms.Key32(given) {
		t.Errorf("RSA, a wrapping of the client: %v", err)
	}
	f.lock(func() { f.disabled["main"] = true })
	var refusal *azcore.ResponseError
	if _, err := client.WrapKey(t.Context(), "main", "", azkeys.KeyOperationParameters{Algorithm: &aes, Value: given}, nil); !errors.As(err, &refusal) || refusal.ErrorCode != "Forbidden" {
		t.Errorf("a disabled key: %v", err)
	}
}
