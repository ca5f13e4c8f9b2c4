package awskms

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	base "s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
)

func provider(t testing.TB, endpoint, key string) *Provider {
	t.Helper()
	p, err := New(Options{Key: key, Region: "eu-central-1", Endpoint: endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("AKIA", "a secret of the tests", "")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestProviderKeepsTheContract(t *testing.T) {
	f, url := newFake(t)
	kmstest.Run(t, kmstest.Subject{Provider: provider(t, url, mainKey), Key: mainKey, Other: otherKey, Unknown: unknownKey,
		Disabled: disabledKey, Deleted: deletedKey, Fault: f.set, Answer: f.reply,
		Disable: f.leave(disabledKey, "disabled"), Delete: f.leave(deletedKey, "deleted")})
}

func TestKeysByIDAndAlias(t *testing.T) {
	_, url := newFake(t)
	for _, name := range []string{strings.TrimPrefix(mainKey, arnPrefix), "alias/main"} {
		p := provider(t, url, name)
		key, blob, err := p.Generate(t.Context(), name, base.RealmContext("r", nil))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := p.Unwrap(t.Context(), name, blob, base.RealmContext("r", nil)); err != nil || back != key {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.Health(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEveryCallNamesTheKeyAndTheContext: a blob must not choose the key that opens it.
func TestEveryCallNamesTheKeyAndTheContext(t *testing.T) {
	f, url := newFake(t)
	p := provider(t, url, mainKey)
	ec := base.RealmContext("r", base.Context{"team": "blue"})
	_, blob, err := p.Generate(t.Context(), mainKey, ec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unwrap(t.Context(), mainKey, blob, ec); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if want := []string{"GenerateDataKey " + mainKey, "Decrypt " + mainKey}; !slices.Equal(f.seen, want) {
		t.Errorf("calls %q, want %q", f.seen, want)
	}
	if f.ec["realm"] != "r" || f.ec["team"] != "blue" || f.ec["s3veil"] != "1" {
		t.Errorf("context %v", f.ec)
	}
	if !strings.Contains(f.auth, "AWS4-HMAC-SHA256 Credential=AKIA/") || !strings.Contains(f.auth, "/eu-central-1/kms/") {
		t.Errorf("authorization %q", f.auth)
	}
}

// TestAnswersOfAnotherKeyAreRefused: the answer is compared with the question, whatever the KMS checks itself.
func TestAnswersOfAnotherKeyAreRefused(t *testing.T) {
	f, url := newFake(t)
	p := provider(t, url, mainKey)
	ec := base.RealmContext("r", nil)
	_, blob, err := p.Generate(t.Context(), mainKey, ec)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.named = otherKey
	f.mu.Unlock()
	key, made, err := p.Generate(t.Context(), mainKey, ec)
	if !errors.Is(err, base.ErrUnavailable) || key != (base.Key32{}) || made != nil {
		t.Errorf("Generate: %v", err)
	}
	if made, err := p.Wrap(t.Context(), mainKey, base.Key32{1}, ec); !errors.Is(err, base.ErrUnavailable) || made != nil {
		t.Errorf("Wrap: %v", err)
	}
	if key, err := p.Unwrap(t.Context(), mainKey, blob, ec); !errors.Is(err, base.ErrUnavailable) || key != (base.Key32{}) {
		t.Errorf("Unwrap: %v", err)
	}
	if made, _, err := p.Rewrap(t.Context(), mainKey, mainKey, blob, ec); !errors.Is(err, base.ErrUnavailable) || made != nil {
		t.Errorf("Rewrap: %v", err)
	}
}

func TestNamesOfOneKey(t *testing.T) {
	for asked, c := range map[string]struct {
		answered string
		want     bool
	}{
		mainKey:      {mainKey, true},
		otherKey:     {mainKey, false},
		"abc":        {arnPrefix + "abc", true},
		"bc":         {arnPrefix + "abc", false},
		"alias/main": {mainKey, true},
		"alias/none": {"", false},
	} {
		if got := same(asked, &c.answered); got != c.want {
			t.Errorf("asked %s, answered %s: %v", asked, c.answered, got)
		}
	}
	if same(mainKey, nil) {
		t.Error("no key in the answer")
	}
}

func TestErrorsTellTheOperatorWhat(t *testing.T) {
	f, url := newFake(t)
	p := provider(t, url, mainKey)
	defer f.set(kmstest.Denied)()
	_, _, err := p.Generate(t.Context(), mainKey, base.RealmContext("r", nil))
	if !errors.Is(err, base.ErrAccessDenied) || !strings.Contains(err.Error(), "not authorized to perform") || !strings.Contains(err.Error(), mainKey) {
		t.Errorf("%v", err)
	}
}

// TestOneRequestPerTry: keycache repeats what is worth it.
func TestOneRequestPerTry(t *testing.T) {
	f, url := newFake(t)
	p := provider(t, url, mainKey)
	for _, fault := range []kmstest.Fault{kmstest.Throttle, kmstest.ServerError, kmstest.NoAnswer} {
		undo := f.set(fault)
		before := f.calls()
		if _, _, err := p.Generate(t.Context(), mainKey, base.RealmContext("r", nil)); err == nil {
			t.Error("no error")
		}
		if n := f.calls() - before; n != 1 {
			t.Errorf("fault %d: %d requests", fault, n)
		}
		undo()
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Key: mainKey, Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	for name, change := range map[string]func(*Options){
		"no key":                  func(o *Options) { o.Key = "" },
		"no region":               func(o *Options) { o.Region = "" },
		"no credentials":          func(o *Options) { o.Credentials = nil },
		"another region":          func(o *Options) { o.Region = "us-east-1" },
		"plain http to others":    func(o *Options) { o.Endpoint = "http://kms.internal" },
		"endpoint without scheme": func(o *Options) { o.Endpoint = "localhost:4566" },
		"endpoint with a user":    func(o *Options) { o.Endpoint = "http://u:p@localhost" },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
	if RegionOf(mainKey) != "eu-central-1" || RegionOf("alias/x") != "" || RegionOf("arn:aws:s3:eu:1:x") != "" {
		t.Error("RegionOf")
	}
}
