package inject

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Keeper keeps a certificate of the webhook's own in a Secret, and tells the API server to trust it. Any number of replicas may
// do so at a time: whoever writes first wins, the others read what it has written.
type Keeper struct {
	Where SelfSigned
	API   *API
	Now   func() time.Time
	// Changed hears what has been written, for the log; nil for nobody.
	Changed func(what string)
}

// secret is what is read and written of a Secret.
type secret struct {
	Data map[string][]byte `json:"data"`
	raw  map[string]any
}

// Look brings Secret, caBundle and certs up to date. An error leaves what is in force as it is.
func (k *Keeper) Look(ctx context.Context, certs *Certificates) error {
	keys, err := k.keys(ctx)
	if err != nil {
		return fmt.Errorf("secret %s/%s: %w", k.Where.Namespace, k.Where.Secret, err)
	}
	// Trusted first, served then: the bundle has every authority that a replica may still serve under.
	if err := k.announce(ctx, keys.bundle); err != nil {
		return fmt.Errorf("webhook configuration %s: %w", k.Where.Webhook, err)
	}
	return certs.set(keys.cert, keys.key)
}

// attempts to write before giving up until the next look; every failed one means that another replica has written.
const attempts = 5

func (k *Keeper) keys(ctx context.Context) (keySet, error) {
	at := "/api/v1/namespaces/" + url.PathEscape(k.Where.Namespace) + "/secrets/" + url.PathEscape(k.Where.Secret)
	var err error
	for range attempts {
		var s secret
		if err = k.API.get(ctx, at, &s, &s.raw); err != nil {
			return keySet{}, err
		}
		keys, changed, renewErr := keySetOf(s.Data).renew(k.Where.Names, k.Now())
		if renewErr != nil || !changed {
			return keys, renewErr
		}
		s.raw["data"] = keys.data() // resourceVersion stays: a write in between makes this one fail
		err = k.API.send(ctx, http.MethodPut, at, "application/json", s.raw)
		if err == nil {
			k.changed("certificate")
			return keys, nil
		}
		if !conflict(err) {
			return keySet{}, err
		}
	}
	return keySet{}, err
}

func (k *Keeper) changed(what string) {
	if k.Changed != nil {
		k.Changed(what)
	}
}

// webhooks is what is read of a MutatingWebhookConfiguration.
type webhooks struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Webhooks []struct {
		ClientConfig struct {
			CABundle []byte `json:"caBundle"`
		} `json:"clientConfig"`
	} `json:"webhooks"`
}

// announce sets the caBundle of every webhook of the configuration.
func (k *Keeper) announce(ctx context.Context, bundle []byte) error {
	at := "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/" + url.PathEscape(k.Where.Webhook)
	var err error
	for range attempts {
		var c webhooks
		if err = k.API.get(ctx, at, &c); err != nil {
			return err
		}
		// The test makes the patch fail where the list is no longer the one that was read.
		p := []any{map[string]any{"op": "test", "path": "/metadata/resourceVersion", "value": c.Metadata.ResourceVersion}}
		for i, w := range c.Webhooks {
			if !bytes.Equal(w.ClientConfig.CABundle, bundle) {
				p = append(p, operation{"add", pointer("webhooks", i, "clientConfig", "caBundle"), bundle})
			}
		}
		if len(p) == 1 {
			return nil
		}
		if err = k.API.send(ctx, http.MethodPatch, at, "application/json-patch+json", p); err == nil {
			k.changed("caBundle")
			return nil
		}
		if !conflict(err) {
			return err
		}
	}
	return err
}

// conflict reports whether somebody else has written in between: 409, or 422 of a patch whose test fails.
func conflict(err error) bool {
	var status *statusError
	return errors.As(err, &status) && (status.code == http.StatusConflict || status.code == http.StatusUnprocessableEntity)
}

// statusError is an answer of the API server that is no success.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the API server answers %d: %s", e.code, e.message)
}

// decodeAll decodes one document into several values.
func decodeAll(text []byte, into ...any) error {
	for _, v := range into {
		if err := json.Unmarshal(text, v); err != nil {
			return err
		}
	}
	return nil
}
