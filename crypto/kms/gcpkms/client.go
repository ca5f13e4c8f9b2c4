package gcpkms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"s3veil/crypto/kms"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// MarshalJSON writes the sum as the API does.
func (s sum) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatInt(int64(s), 10)), nil
}

// UnmarshalJSON reads a string, or a number as some emulators send it.
func (s *sum) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(text), `"`), 10, 64)
	if err != nil {
		return errors.New("a checksum is not a number")
	}
	*s = sum(n)
	return nil
}

// call posts to a method of a key. After a refusal of the access token (401) it tries once more with a new one.
func (p *Provider) call(ctx context.Context, kek, method string, in, out any) error {
	if !keyName.MatchString(kek) {
		return fmt.Errorf("%w: %q is not projects/P/locations/L/keyRings/R/cryptoKeys/K", kms.ErrKeyNotFound, kek)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for again := false; ; again = true {
		g, err := p.login.get(ctx)
		if err != nil {
			return err
		}
		err = p.post(ctx, p.endpoint+"/v1/"+kek+":"+method, g, body, out)
		var a *answerError
		if again || !errors.As(err, &a) || a.code != http.StatusUnauthorized || !p.login.refused(g) {
			return err
		}
	}
}

// post sends one request. A refusal is an *answerError; an API that cannot be reached or understood is kms.ErrUnavailable.
func (p *Provider) post(ctx context.Context, target string, g *grant, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "s3veil")
	g.apply(req)
	resp, err := p.http.Do(req)
	if err != nil {
		return away(ctx, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	defer clear(text)
	if err != nil {
		return away(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		return newAnswerError(resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%w: the answer is not what the API promises: %w", kms.ErrUnavailable, err)
	}
	return nil
}

// away classifies a failure on the way. The end of the caller's context says nothing about the API.
func away(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", kms.ErrUnavailable, err)
}

// answerError is a refusal by the API.
type answerError struct {
	code    int    // of HTTP
	status  string // canonical code, such as PERMISSION_DENIED; empty where something else answered
	message string
}

// newAnswerError reads an error body of Google APIs: {"error":{"code":…,"message":…,"status":…}}.
func newAnswerError(code int, body []byte) *answerError {
	var text struct {
		Error struct {
			Message string `json:"message"`
			Status  string `json:"status"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &text) != nil {
		return &answerError{code: code}
	}
	return &answerError{code, text.Error.Status, text.Error.Message}
}

// Error names the codes and what the API says.
func (e *answerError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.code, e.status, e.message)
}

// saysSum is in the message of an INVALID_ARGUMENT that means a checksum of the request: it was damaged on its way.
const saysSum = "crc32c"

// class returns the class of a refusal; argument is that of an INVALID_ARGUMENT.
func (e *answerError) class(argument error) error {
	switch e.status {
	case "INVALID_ARGUMENT":
		if strings.Contains(strings.ToLower(e.message), saysSum) || strings.Contains(strings.ToLower(e.message), "checksum") {
			return kms.ErrUnavailable
		}
		return argument
	case "FAILED_PRECONDITION": // the key version is disabled, about to be destroyed or destroyed: the message says which
		return kms.ErrKeyDisabled
	case "NOT_FOUND":
		return kms.ErrKeyNotFound
	case "RESOURCE_EXHAUSTED":
		return kms.ErrThrottled
	case "PERMISSION_DENIED", "UNAUTHENTICATED":
		return kms.ErrAccessDenied
	case "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNKNOWN":
		return kms.ErrUnavailable
	}
	switch {
	case e.code == http.StatusNotFound: // without a status: not the API; a wrong endpoint
		return kms.ErrUnavailable
	case e.code == http.StatusTooManyRequests:
		return kms.ErrThrottled
	case e.code < 400 || e.code >= 500 || e.code == http.StatusRequestTimeout:
		return kms.ErrUnavailable
	}
	return kms.ErrAccessDenied
}

func classify(err, argument error) error {
	var a *answerError
	if errors.As(err, &a) {
		return fmt.Errorf("%w: %w", a.class(argument), err)
	}
	return err
}

// ofKey classifies the errors of encrypt.
func ofKey(err error) error { return classify(err, kms.ErrAccessDenied) }

// ofBlob classifies the errors of decrypt.
func ofBlob(err error) error { return classify(err, kms.ErrBadCiphertext) }
