package envelope_test

import (
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
)

// hoarder keeps what was drawn from it.
type hoarder struct{ drawn []byte }

func (h *hoarder) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i + 1)
	}
	h.drawn = p
	return len(p), nil
}

func TestNewDEKLeavesNoOtherCopy(t *testing.T) {
	var h hoarder
	envelope.DrawFrom(t, &h)
	if dek := envelope.NewDEK(); dek[0] != 1 || dek[31] != 32 {
		t.Errorf("DEK %x is not what was drawn", dek[:])
	}
	if kms.Key32(h.drawn) != (kms.Key32{}) {
		t.Error("what the key was drawn into still holds it")
	}
}
