package azurekv

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"s3veil/crypto/kms"
)

// answerError is a refusal by the API.
type answerError struct {
	status  int    // of HTTP
	code    string // such as Forbidden; empty where something else answered
	inner   string // such as KeyDisabled
	message string
}

// newAnswerError reads an error body: {"error":{"code":…,"message":…,"innererror":{"code":…}}}.
func newAnswerError(status int, body []byte) *answerError {
	var text struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Inner   struct {
				Code string `json:"code"`
			} `json:"innererror"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &text) != nil {
		return &answerError{status: status}
	}
	e := text.Error
	return &answerError{status, e.Code, e.Inner.Code, e.Message}
}

// Error names the codes and what the API says.
func (e *answerError) Error() string {
	return fmt.Sprintf("%d %s %s: %.1000s", e.status, e.code, e.inner, e.message)
}

// class returns the class of a refusal; parameter is that of a BadParameter.
func (e *answerError) class(parameter error) error {
	switch {
	case e.status == http.StatusTooManyRequests:
		return kms.ErrThrottled
	case e.status < 400 || e.status >= 500 || e.status == http.StatusRequestTimeout || e.code == "":
		return kms.ErrUnavailable // without a code: not the API, but something on the way to it
	case e.outOfService():
		return kms.ErrKeyDisabled
	case e.status == http.StatusNotFound:
		return kms.ErrKeyNotFound
	case e.status == http.StatusBadRequest:
		return parameter
	case e.status == http.StatusConflict:
		return kms.ErrKeyDisabled // about to be deleted, or not yet recovered
	}
	return kms.ErrAccessDenied
}

// outOfService reports whether a 403 is about the state of the key and not about the caller.
func (e *answerError) outOfService() bool {
	switch e.inner {
	case "KeyDisabled", "KeyExpired", "KeyNotYetValid":
		return true
	}
	return e.status == http.StatusForbidden && (strings.Contains(e.message, "disabled key") || strings.Contains(e.message, "expired key"))
}

func classify(err, parameter error) error {
	var a *answerError
	if errors.As(err, &a) {
		return fmt.Errorf("%w: %w", a.class(parameter), err)
	}
	return err
}

// ofKey classifies errors of calls without a blob: what is wrong there is the key, which may be of another kind.
func ofKey(err error) error { return classify(err, kms.ErrAccessDenied) }

// ofBlob classifies errors of unwrapping a blob.
func ofBlob(err error) error { return classify(err, kms.ErrBadCiphertext) }
