package transit_test

import (
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/transit"
)

func appRole(f *fake, secret string) {
	f.login["auth/approle/login"] = func(b map[string]any) bool { return b["role_id"] == "role" && b["secret_id"] == secret }
}

// bubble runs f with a provider over a fake without a network, in which time passes at once.
func bubble(t *testing.T, o transit.Options, prepare func(*fake), run func(*testing.T, *fake, *transit.Provider)) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a")
		prepare(f)
		o.Address, o.Key = "https://vault.test", "a"
		p, err := transit.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		p.SetTransport(f)
		run(t, f, p)
	})
}

func works(t *testing.T, what string, p *transit.Provider) {
	t.Helper()
	if err := p.Health(t.Context()); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func TestAppRoleLogsInOnceForAll(t *testing.T) {
	f := newFake("a")
	appRole(f, "secret")
	p := provider(t, transit.Options{Address: f.start(t), AppRole: transit.AppRole{RoleID: "role", SecretID: "secret"}})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { works(t, "first calls", p) })
	}
	wg.Wait()
	if f.logins != 1 {
		t.Errorf("%d logins", f.logins)
	}
}

func TestLoginTokensAreRenewedAndReplaced(t *testing.T) {
	o := transit.Options{AppRole: transit.AppRole{RoleID: "role", SecretID: "secret"}}
	prepare := func(f *fake) {
		appRole(f, "secret")
		f.lease, f.most = time.Hour, 5*time.Hour
	}
	bubble(t, o, prepare, func(t *testing.T, f *fake, p *transit.Provider) {
		for range 48 { // half an hour each, without a call that would fail first
			works(t, "within a day", p)
			time.Sleep(30 * time.Minute)
			synctest.Wait()
		}
		renewals := f.count("auth/token/renew-self")
		if f.logins < 4 || f.logins > 7 {
			t.Errorf("%d logins in a day with a longest life of five hours", f.logins)
		}
		if renewals < 20 || renewals > 70 {
			t.Errorf("%d renewals in a day with a lease of an hour", renewals)
		}
		_ = p.Close()
		before := f.count("auth/token/renew-self") + f.logins
		time.Sleep(24 * time.Hour)
		if n := f.count("auth/token/renew-self") + f.logins; n != before {
			t.Errorf("%d more calls after Close", n-before)
		}
	})
}

func TestAnIdleProviderComesBackAfterItsTokenEnded(t *testing.T) {
	o := transit.Options{AppRole: transit.AppRole{RoleID: "role", SecretID: "secret"}}
	bubble(t, o, func(f *fake) { appRole(f, "secret") }, func(t *testing.T, f *fake, p *transit.Provider) {
		works(t, "at first", p)
		f.set(func() { f.hook = func(string) (int, string) { return 503, "Vault is sealed" } })
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if err := p.Health(t.Context()); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("sealed: %v", err)
		}
		f.set(func() { f.hook = nil })
		works(t, "unsealed", p)
	})
}

func TestARefusedTokenIsReplacedByANewLogin(t *testing.T) {
	o := transit.Options{AppRole: transit.AppRole{RoleID: "role", SecretID: "secret"}}
	bubble(t, o, func(f *fake) { appRole(f, "secret") }, func(t *testing.T, f *fake, p *transit.Provider) {
		works(t, "at first", p)
		time.Sleep(time.Minute)
		f.set(func() { delete(f.tokens, "hvs.login-1") }) // revoked, or the server was restored from a backup
		works(t, "after revocation", p)
		if f.logins != 2 {
			t.Errorf("%d logins", f.logins)
		}
	})
}

func TestARefusalByPolicyDoesNotCauseALoginEach(t *testing.T) {
	o := transit.Options{AppRole: transit.AppRole{RoleID: "role", SecretID: "secret"}}
	bubble(t, o, func(f *fake) { appRole(f, "secret") }, func(t *testing.T, f *fake, p *transit.Provider) {
		works(t, "at first", p)
		time.Sleep(time.Minute)
		f.set(func() {
			f.hook = func(path string) (int, string) {
				if path == "transit/datakey/plaintext/a" {
					return 403, "permission denied"
				}
				return 0, ""
			}
		})
		for range 100 {
			if err := p.Health(t.Context()); !errors.Is(err, kms.ErrAccessDenied) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if f.logins > 3 {
			t.Errorf("%d logins for refusals within ten seconds", f.logins)
		}
	})
}

func TestClassesOfFailedLogins(t *testing.T) {
	for _, c := range []struct {
		status int
		class  error
	}{{400, kms.ErrAccessDenied}, {403, kms.ErrAccessDenied}, {404, kms.ErrAccessDenied}, {429, kms.ErrThrottled}, {500, kms.ErrUnavailable}, {503, kms.ErrUnavailable}} {
		f := newFake("a")
		f.hook = func(string) (int, string) { return c.status, "no" }
		p := provider(t, transit.Options{Address: f.start(t), AppRole: transit.AppRole{RoleID: "role"}})
		_, _, err := p.Generate(t.Context(), "a", realm)
		expect(t, "Generate", err, c.class, "no")
		_, err = p.Unwrap(t.Context(), "a", []byte(newFake("a").keys["a"].seal(realm.Canonical(), make([]byte, 32))), realm)
		expect(t, "Unwrap", err, c.class, "no")
	}
}

func TestSecretIDsInFilesAreReadAtEveryLogin(t *testing.T) {
	f := newFake("a")
	appRole(f, "one")
	file := tempFile(t, "one\n")
	p := provider(t, transit.Options{Address: f.start(t), AppRole: transit.AppRole{RoleID: "role", SecretIDFile: file}})
	p.SetLoginAgain(0)
	works(t, "at first", p)
	f.set(func() { appRole(f, "two"); clear(f.tokens) })
	if err := p.Health(t.Context()); !errors.Is(err, kms.ErrAccessDenied) {
		t.Errorf("with the old secret id: %v", err)
	}
	write(t, file, "two\n")
	works(t, "with the new secret id", p)
}

func TestKubernetesLogsInWithTheServiceAccount(t *testing.T) {
	f := newFake("a")
	f.login["auth/cluster-1/login"] = func(b map[string]any) bool { return b["role"] == "s3veil" && b["jwt"] == "jwt-2" }
	file := tempFile(t, "jwt-1")
	p := provider(t, transit.Options{Address: f.start(t), Kubernetes: transit.Kubernetes{Mount: "cluster-1", Role: "s3veil", TokenFile: file}})
	if err := p.Health(t.Context()); !errors.Is(err, kms.ErrAccessDenied) {
		t.Errorf("with a foreign token: %v", err)
	}
	write(t, file, "jwt-2\n") // as Kubernetes replaces it
	works(t, "with the right one", p)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	works(t, "while the login lasts", p)
}

func TestATokenInAFileIsReadAnew(t *testing.T) {
	f := newFake("a")
	f.tokens["hvs.one"] = &fakeToken{}
	file := tempFile(t, "hvs.one\n")
	p := provider(t, transit.Options{Address: f.start(t), TokenFile: file})
	works(t, "at first", p)
	f.set(func() { delete(f.tokens, "hvs.one"); f.tokens["hvs.two"] = &fakeToken{} })
	if err := p.Health(t.Context()); !errors.Is(err, kms.ErrAccessDenied) {
		t.Errorf("with the old token: %v", err)
	}
	write(t, file, "hvs.two\n")
	works(t, "with the new token", p)
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Health(t.Context()); !errors.Is(err, kms.ErrAccessDenied) {
		t.Errorf("with a token for all to read: %v", err)
	}
}

func TestAGivenTokenIsKeptAlive(t *testing.T) {
	prepare := func(f *fake) {
		f.tokens["hvs.periodic"] = &fakeToken{ends: time.Now().Add(time.Hour), lease: time.Hour, renewable: true}
	}
	bubble(t, transit.Options{Token: "hvs.periodic"}, prepare, func(t *testing.T, f *fake, p *transit.Provider) {
		works(t, "at first", p)
		time.Sleep(30 * time.Minute)
		f.set(func() { f.hook = func(string) (int, string) { return 503, "Vault is sealed" } })
		time.Sleep(15 * time.Minute) // over the time of a renewal
		f.set(func() { f.hook = nil })
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		works(t, "two days later", p)
		if n := f.count("auth/token/renew-self"); n < 60 || n > 90 {
			t.Errorf("%d renewals in two days", n)
		}
	})
	bubble(t, transit.Options{Token: rootToken}, func(*fake) {}, func(t *testing.T, f *fake, p *transit.Provider) {
		works(t, "at first", p)
		time.Sleep(48 * time.Hour)
		if n := f.count("auth/token/renew-self"); n != 0 {
			t.Errorf("a token without end was renewed %d times", n)
		}
	})
}
