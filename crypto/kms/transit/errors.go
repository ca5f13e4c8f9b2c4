package transit

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"s3veil/crypto/kms"
)

// answerError is a refusal by the server.
type answerError struct {
	status   int
	messages []string
}

// newAnswerError reads the error body of Vault and OpenBao: {"errors":["…"]}. Other bodies come from something in between.
func newAnswerError(status int, body []byte) *answerError {
	var text struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(body, &text) != nil {
		text.Errors = nil
	}
	return &answerError{status, text.Errors}
}

// Error names the status and what the server says.
func (e *answerError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.status, http.StatusText(e.status), strings.Join(e.messages, "; "))
}

// says reports whether a message contains a text.
func (e *answerError) says(text string) bool {
	for _, m := range e.messages {
		if strings.Contains(m, text) {
			return true
		}
	}
	return false
}

// What the servers say: every refusal of transit has status 400, so that only the text tells these two from the others. Should
// a server word them differently, they become the wider class: a refusal of the blob, or of the call.
const (
	saysNoKey  = "encryption key not found"
	saysTooOld = "disallowed by policy (too old)" // below min_decryption_version or min_available_version
)

// class returns the class of a refusal; rest is that of a status 400 without a class of its own.
func (e *answerError) class(rest error) error {
	switch {
	case e.status == http.StatusBadRequest && e.says(saysNoKey):
		return kms.ErrKeyNotFound
	case e.status == http.StatusBadRequest && e.says(saysTooOld):
		return kms.ErrKeyDisabled
	case e.status == http.StatusBadRequest:
		return rest
	case e.status == http.StatusNotFound: // no engine at this path, no such namespace
		return kms.ErrKeyNotFound
	case e.status == http.StatusTooManyRequests:
		return kms.ErrThrottled
	case e.status == http.StatusPreconditionFailed || e.status >= 500: // a replica that lags behind; sealed is 503
		return kms.ErrUnavailable
	}
	return kms.ErrAccessDenied
}

func classify(err, rest error) error {
	var a *answerError
	if errors.As(err, &a) {
		return fmt.Errorf("%w: %w", a.class(rest), err)
	}
	return err
}

// ofKey classifies the errors of calls that carry no blob.
func ofKey(err error) error { return classify(err, kms.ErrAccessDenied) }

// ofBlob classifies the errors of calls that carry a blob.
func ofBlob(err error) error { return classify(err, kms.ErrBadCiphertext) }

// ofLogin classifies the errors of logins. The answer is not wrapped: it must not be classified again as that of a key or blob.
func ofLogin(path string, err error) error {
	var a *answerError
	if !errors.As(err, &a) {
		return fmt.Errorf("login at %s: %w", path, err)
	}
	class := a.class(kms.ErrAccessDenied)
	if a.status == http.StatusNotFound {
		class = kms.ErrAccessDenied
	}
	return fmt.Errorf("%w: login at %s: %s", class, path, a.Error())
}

// refused reports whether the server refuses the token, or what it may do: one status stands for both.
func refused(err error) bool {
	var a *answerError
	return errors.As(err, &a) && a.status == http.StatusForbidden
}
