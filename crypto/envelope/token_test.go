package envelope_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
)

func sealToken(t *testing.T, binding envelope.Binding, dek byte, upstream string) (string, *kms.Key32, envelope.Location) {
	t.Helper()
	h, bound, loc, a := env1()
	h.Kind, h.Binding = envelope.Token, binding
	a.DEK[0] = dek
	env := seal(t, h, bound, loc, a)
	text := envelope.SealToken(upstream, env, &a.DEK, loc)
	if n := envelope.TokenLen(upstream, env); n != len(text) {
		t.Errorf("TokenLen is %d, the token has %d", n, len(text))
	}
	return text, bound, loc
}

func TestTokenRoundTrip(t *testing.T) {
	for _, upstream := range []string{"UP", "a/b+c=.~%", strings.Repeat("x", 2000)} {
		text, bound, loc := sealToken(t, envelope.BindKey, 9, upstream)
		token, err := envelope.ParseToken(text)
		if err != nil {
			t.Fatal(err)
		}
		if token.UpstreamID != upstream {
			t.Errorf("upstream id %q", token.UpstreamID)
		}
		if base64.RawURLEncoding.EncodeToString(token.Bytes()) != text {
			t.Error("parsing and encoding changes the token")
		}
		a, err := token.Open(bound, loc)
		if err != nil {
			t.Fatal(err)
		}
		if a.DEK[0] != 9 || a.ObjectID != envelope.ObjectID(seq(0xc0, 16)) {
			t.Errorf("attributes %+v", a)
		}
	}
}

// bucket and key are in the MAC whatever the binding level.
func TestTokenOfAnotherPlace(t *testing.T) {
	for _, level := range []envelope.Binding{envelope.BindKey, envelope.BindBucket, envelope.BindNone} {
		text, bound, loc := sealToken(t, level, 1, "UP")
		token, err := envelope.ParseToken(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []envelope.Location{
			{Realm: loc.Realm, Bucket: "other", Key: loc.Key},
			{Realm: loc.Realm, Bucket: loc.Bucket, Key: "other"},
			{Realm: "other", Bucket: loc.Bucket, Key: loc.Key},
		} {
			if _, err := token.Open(bound, other); !errors.Is(err, envelope.ErrToken) {
				t.Errorf("level %v, %v: %v", level, other, err)
			}
		}
		if _, err := token.Open(&kms.Key32{}, loc); !errors.Is(err, envelope.ErrToken) || errors.Is(err, envelope.ErrCommitment) {
			t.Errorf("other key: %v", err)
		}
	}
}

func TestEveryByteOfATokenFlipped(t *testing.T) {
	text, bound, loc := sealToken(t, envelope.BindKey, 1, "UP")
	token, err := envelope.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for i := range token.Bytes() {
		b := bytes.Clone(token.Bytes())
		b[i] ^= 1
		p, err := envelope.ParseToken(base64.RawURLEncoding.EncodeToString(b))
		if err == nil {
			_, err = p.Open(bound, loc)
		}
		if err == nil {
			accepted++ // kid and wrapped key are covered by what they unwrap to
		} else if !errors.Is(err, envelope.ErrToken) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	if accepted != len("k1WRAPPED") {
		t.Errorf("%d changes accepted, want those of kid and wrapped key only", accepted)
	}
}

func TestSplicedTokens(t *testing.T) {
	first, bound, loc := sealToken(t, envelope.BindKey, 1, "U1")
	second, _, _ := sealToken(t, envelope.BindKey, 2, "U2")
	a, _ := base64.RawURLEncoding.DecodeString(first)
	b, _ := base64.RawURLEncoding.DecodeString(second)
	idEnd, macAt := 5, len(a)-16
	for name, spliced := range map[string][]byte{
		"upstream id":         append(bytes.Clone(b[:idEnd]), a[idEnd:]...),
		"envelope":            append(append(bytes.Clone(a[:idEnd]), b[idEnd:macAt]...), a[macAt:]...),
		"MAC":                 append(bytes.Clone(a[:macAt]), b[macAt:]...),
		"upstream id and MAC": append(append(bytes.Clone(b[:idEnd]), a[idEnd:macAt]...), b[macAt:]...),
	} {
		token, err := envelope.ParseToken(base64.RawURLEncoding.EncodeToString(spliced))
		if err == nil {
			_, err = token.Open(bound, loc)
		}
		if !errors.Is(err, envelope.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseTokenRefuses(t *testing.T) {
	text, bound, loc := sealToken(t, envelope.BindKey, 1, "UP")
	h, _, _, a := env1()
	encode := base64.RawURLEncoding.EncodeToString
	wrap := func(env *envelope.Sealed) string {
		return encode(envelope.SealTokenBytes("UP", env, &a.DEK, loc))
	}
	object := seal(t, h, bound, loc, a)
	h.Kind = envelope.Multipart
	multipart := seal(t, h, bound, loc, a)
	a.SealedMeta = []byte{}
	sealedMeta := seal(t, h, bound, loc, a)
	for name, in := range map[string]string{
		"empty":                       "",
		"line end":                    text[:8] + "\n" + text[8:],
		"padding":                     text + "=",
		"other version":               "Ag" + text[2:],
		"cut":                         text[:len(text)-4],
		"no upstream id":              encode(append([]byte{1, 0, 0}, multipart.Bytes()...)),
		"long upstream id":            encode([]byte{1, 0xff, 0xff, 'a'}),
		"envelope of a single PUT":    wrap(object),
		"envelope of a multipart":     wrap(multipart),
		"envelope of sealed metadata": wrap(sealedMeta),
	} {
		token, err := envelope.ParseToken(in)
		if err == nil {
			_, err = token.Open(bound, loc)
		}
		if !errors.Is(err, envelope.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range text {
		token, err := envelope.ParseToken(text[:n])
		if err == nil {
			_, err = token.Open(bound, loc)
		}
		if !errors.Is(err, envelope.ErrToken) {
			t.Errorf("%d characters: %v", n, err)
		}
	}
}

func TestUploadIDForms(t *testing.T) {
	text, _, _ := sealToken(t, envelope.BindKey, 1, "UP")
	sum := sha256.Sum256([]byte("UP"))
	if n := len(envelope.StateID("UP")); n != 45 {
		t.Errorf("a state id has %d characters", n)
	}
	for in, want := range map[string]envelope.UploadID{
		envelope.StateID("UP"):         {Form: envelope.FormState, State: sum},
		envelope.ListedID("U/P.x"):     {Form: envelope.FormListed, Upstream: "U/P.x"},
		"0.VVA":                        {Form: envelope.FormListed, Upstream: "UP"},
		envelope.ListedID("\x00\xff~"): {Form: envelope.FormListed, Upstream: "\x00\xff~"},
	} {
		got, err := envelope.ParseUploadID(in)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	if got, err := envelope.ParseUploadID(text); err != nil || got.Form != envelope.FormToken || got.Token.UpstreamID != "UP" {
		t.Errorf("token: %+v, %v", got, err)
	}
	for _, bad := range []string{"", "0.", "1.", "1.VVA", "2.VVA", ".", "0.VVB", "0.VVA=", envelope.StateID("UP") + "A", envelope.StateID("UP") + "\n", "UP", text + "."} {
		if _, err := envelope.ParseUploadID(bad); !errors.Is(err, envelope.ErrToken) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestStateObjects(t *testing.T) {
	text, bound, loc := sealToken(t, envelope.BindKey, 1, "UP")
	token, _ := envelope.ParseToken(text)
	sum := sha256.Sum256([]byte("UP"))
	name := envelope.StateName("UP")
	if got, ok := envelope.ParseStateName(name); !ok || got != sum || envelope.StateNameOf(sum) != name {
		t.Errorf("%s: %x %v", name, got, ok)
	}
	if !strings.HasPrefix(name, ".s3veil/u/") || len(name) != 10+64 {
		t.Errorf("name %s", name)
	}
	for _, bad := range []string{"", ".s3veil/u/", strings.ToUpper(name), name + "0", name[:len(name)-1], name[:len(name)-1] + "g", ".s3veil/m/" + name[10:], ".s3veil/u/" + strings.ToUpper(name[10:])} {
		if _, ok := envelope.ParseStateName(bad); ok {
			t.Errorf("%q accepted", bad)
		}
	}
	state, err := envelope.ParseStateToken(sum, token.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := state.Token.Open(bound, loc); err != nil {
		t.Error(err)
	}
	if _, err := envelope.ParseStateToken(sha256.Sum256([]byte("U2")), token.Bytes()); !errors.Is(err, envelope.ErrToken) {
		t.Errorf("state object of another upload: %v", err)
	}
	if _, err := envelope.ParseStateToken(sum, []byte(text)); !errors.Is(err, envelope.ErrToken) {
		t.Errorf("text in place of bytes: %v", err)
	}
}

// sealPair makes the two tokens of an upload under a customer's key.
func sealPair(t *testing.T, upstream, other string) (token, completion string, bound *kms.Key32, loc envelope.Location) {
	t.Helper()
	h, bound, loc, a := env1()
	h.Kind, h.KID = envelope.Token, envelope.CustomerKID
	a.Manifest = &kms.Key32{7}
	token = envelope.SealToken(upstream, seal(t, h, bound, loc, a), &a.DEK, loc)
	digest := envelope.EntryDigest("1.x")
	own := &envelope.Attributes{DEK: *a.Manifest, ObjectID: a.ObjectID, Entry: &digest}
	h.KID = "k1"
	return token, envelope.SealToken(other, seal(t, h, bound, loc, own), &own.DEK, loc), bound, loc
}

func TestPairsOfTokens(t *testing.T) {
	token, completion, bound, loc := sealPair(t, "UP", "UP")
	text := envelope.PairID(token, completion)
	id, err := envelope.ParseUploadID(text)
	if err != nil || id.Form != envelope.FormToken || id.Completion == nil {
		t.Fatalf("%+v, %v", id, err)
	}
	a, err := id.Token.Open(bound, loc)
	if err != nil || a.Manifest == nil || *a.ManifestKey() != (kms.Key32{7}) || a.Entry != nil {
		t.Fatalf("%+v, %v", a, err)
	}
	own, err := id.Completion.Open(bound, loc)
	if err != nil || own.DEK != *a.Manifest || *own.ManifestKey() != *a.ManifestKey() || *own.Entry != envelope.EntryDigest("1.x") {
		t.Fatalf("%+v, %v", own, err)
	}
	sum := sha256.Sum256([]byte("UP"))
	if state, err := envelope.ParseStateToken(sum, []byte(text)); err != nil || state.Completion == nil || state.Token.UpstreamID != "UP" {
		t.Errorf("in a state object: %v", err)
	}
	if single, err := envelope.ParseUploadID(token); err != nil || single.Completion != nil {
		t.Errorf("a token alone: %v", err)
	}
	_, ofAnother, _, _ := sealPair(t, "UP", "UQ")
	loose, err := base64.RawURLEncoding.DecodeString(token) // nothing in it is authenticated without its key
	if err != nil {
		t.Fatal(err)
	}
	loose[1+2+len("UP")+5] |= 0x20
	for what, bad := range map[string]string{
		"completion token of another upload": envelope.PairID(token, ofAnother), "twice the same": envelope.PairID(token, token), "two completion tokens": envelope.PairID(completion, completion),
		"two binding levels": envelope.PairID(base64.RawURLEncoding.EncodeToString(loose), completion),
		"exchanged":          envelope.PairID(completion, token), "only one": "2." + token, "three": text + "." + token, "empty": "2.", "no completion": "2." + token + ".",
	} {
		if _, err := envelope.ParseUploadID(bad); !errors.Is(err, envelope.ErrToken) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := envelope.ParseStateToken(sum, []byte(bad)); !errors.Is(err, envelope.ErrToken) {
			t.Errorf("%s in a state object: %v", what, err)
		}
	}
	if _, err := envelope.ParseStateToken(sha256.Sum256([]byte("UQ")), []byte(text)); !errors.Is(err, envelope.ErrToken) {
		t.Errorf("state object of another upload: %v", err)
	}
	a.Zero()
	if a.DEK != (kms.Key32{}) || *a.Manifest != (kms.Key32{}) {
		t.Error("a key is still there")
	}
}

func TestSealTokenPanicsWithoutAnUpstreamID(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	h, bound, loc, a := env1()
	h.Kind = envelope.Token
	envelope.SealToken("", seal(t, h, bound, loc, a), &a.DEK, loc)
}

// The lengths of FORMAT.md 9.1.
func TestTokenLenOfProviders(t *testing.T) {
	for _, c := range []struct{ k, w, upstream, want int }{{8, 89, 96, 474}, {8, 184, 128, 643}, {8, 113, 344, 836}} {
		h, bound, loc, a := env1()
		h.Kind, h.KID, h.Wrapped = envelope.Token, strings.Repeat("k", c.k), make([]byte, c.w)
		if got := envelope.TokenLen(strings.Repeat("u", c.upstream), seal(t, h, bound, loc, a)); got != c.want {
			t.Errorf("k %d, w %d, upstream %d: %d characters, want %d", c.k, c.w, c.upstream, got, c.want)
		}
	}
}
