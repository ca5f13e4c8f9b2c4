package proxy

import (
	"errors"
	"fmt"

	"s3veil/crypto/kms"
	"s3veil/keycache"
	"s3veil/proxy/s3err"
)

// aboutKey makes an error of the key cache name the key, to the client, in the log and in the audit line: whoever retires a
// key while objects are under it learns which one. Refusals alone concern the client; nil stays nil.
func (x *exchange) aboutKey(kid string, err error) error {
	if err == nil {
		return nil
	}
	x.note.key(kid, keycache.Fingerprint{})
	e := s3err.From(err)
	switch {
	case errors.Is(err, kms.ErrKeyDisabled):
		return e.Say(fmt.Sprintf("The KMS key '%s' is disabled.", kid))
	case errors.Is(err, kms.ErrKeyNotFound):
		return e.Say(fmt.Sprintf("The KMS key '%s' does not exist.", kid))
	case errors.Is(err, kms.ErrAccessDenied):
		return e.Say(fmt.Sprintf("Access Denied: the KMS key '%s' cannot be used.", kid))
	}
	return err
}

// notListed is the error for a key that objects of a bucket may not be under: one that is configured for others, or none.
func (st *state) notListed(kid string) error {
	for i := range st.settings.KEKs {
		if st.settings.KEKs[i].KID == kid {
			return fmt.Errorf("%w: key %q is not on the bucket's list", kms.ErrAccessDenied, kid)
		}
	}
	return fmt.Errorf("%w: no key %q is configured (any more)", kms.ErrAccessDenied, kid)
}
