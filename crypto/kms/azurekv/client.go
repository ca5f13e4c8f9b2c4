package azurekv

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"s3veil/crypto/kms"
)

const (
	apiVersion = "7.4"
	maxAnswer  = 64 << 10 // bytes read of an answer
)

// keyVersion is a version of a key: 32 hexadecimal digits in names.
type keyVersion [blobVersion]byte

func (v keyVersion) String() string { return hex.EncodeToString(v[:]) }

func parseVersion(text string) (v keyVersion, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(v) {
		return v, false
	}
	return keyVersion(b), true
}

// octets travel in base64url without padding.
type octets []byte

// MarshalText encodes.
func (o octets) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, o), nil
}

// UnmarshalText decodes; some servers pad.
func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = base64.RawURLEncoding.AppendDecode(nil, bytes.TrimRight(text, "="))
	return err
}

// operation is the body of wrapkey and unwrapkey.
type operation struct {
	Algorithm string `json:"alg"`
	Value     octets `json:"value"`
}

// result is the answer of both.
type result struct {
	KeyID string `json:"kid"`
	Value octets `json:"value"`
}

// call asks for one operation of a key; an empty version is the newest. It returns the value and the version that answered.
// After a refusal of the access token (401) it tries once more with a new one.
func (p *Provider) call(ctx context.Context, name, version, method, alg string, value []byte) ([]byte, keyVersion, error) {
	body, err := json.Marshal(operation{alg, value})
	if err != nil {
		return nil, keyVersion{}, err
	}
	defer clear(body)
	target := p.endpoint + "/keys/" + name + "/"
	if version != "" {
		target += version + "/"
	}
	target += method + "?api-version=" + apiVersion
	var out result
	for again := false; ; again = true {
		g, err := p.login.get(ctx, p.scope)
		if err != nil {
			return nil, keyVersion{}, err
		}
		err = p.post(ctx, target, g, body, &out)
		var a *answerError
		if errors.As(err, &a) && a.status == http.StatusUnauthorized && !again && p.login.refused(g) {
			continue
		}
		if err != nil {
			return nil, keyVersion{}, err
		}
		break
	}
	answered, ok := versionOf(out.KeyID, name)
	if !ok {
		clear(out.Value)
		return nil, keyVersion{}, fmt.Errorf("%w: the answer is of the key %.200q", kms.ErrUnavailable, out.KeyID)
	}
	return out.Value, answered, nil
}

// versionOf reads the version out of the id of a key, https://HOST/keys/NAME/VERSION, of the key that was asked for.
func versionOf(kid, name string) (keyVersion, bool) {
	u, err := url.Parse(kid)
	if err != nil {
		return keyVersion{}, false
	}
	parts := strings.Split(u.Path, "/")
	if len(parts) != 4 || parts[1] != "keys" || !strings.EqualFold(parts[2], name) { // names are of either case
		return keyVersion{}, false
	}
	return parseVersion(parts[3])
}

// post sends one request. A refusal is an *answerError; an API that cannot be reached or understood is kms.ErrUnavailable.
func (p *Provider) post(ctx context.Context, target string, g *grant, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "s3veil")
	req.Header.Set("Authorization", "Bearer "+g.token.Token)
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
