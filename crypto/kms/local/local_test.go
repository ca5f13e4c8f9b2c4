package local_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/crypto/kms/local"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// line is one key of a file; n makes its bytes.
func line(id, state string, n byte) string {
	return fmt.Sprintf(`{"id": %q, "created": "2026-03-01T12:00:00Z", "state": %q, "key": %q}`, id, state, b64(n))
}

func b64(n byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return strings.Repeat(digits[n:n+1], 42) + "A="
}

func put(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, lines ...string) *local.File {
	t.Helper()
	f, err := local.Open(put(t, "["+strings.Join(lines, ",\n")+"]"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestProviderConforms(t *testing.T) {
	f := open(t, line("a", "active", 0), line("b", "active", 4), line("off", "disabled", 8))
	kmstest.Run(t, kmstest.Subject{Provider: f.Provider(), Key: "a", Other: "b", Unknown: "c", Disabled: "off"})
	if f.Provider().Name() != "local" {
		t.Error(f.Provider().Name())
	}
}

func TestRetiredKeysOnlyUnwrap(t *testing.T) {
	ec := kms.RealmContext("r", nil)
	key, wrapped, err := open(t, line("a", "active", 0)).Provider().Generate(t.Context(), "a", ec)
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, line("a", "retired", 0), line("a.2", "active", 4)).Provider()
	if back, err := p.Unwrap(t.Context(), "a", wrapped, ec); err != nil || back != key {
		t.Errorf("Unwrap: %v", err)
	}
	if _, _, err := p.Generate(t.Context(), "a", ec); !errors.Is(err, kms.ErrKeyDisabled) {
		t.Errorf("Generate: %v", err)
	}
	if _, err := p.Wrap(t.Context(), "a", key, ec); !errors.Is(err, kms.ErrKeyDisabled) {
		t.Errorf("Wrap: %v", err)
	}
	if err := p.KeyHealth(t.Context(), "a"); !errors.Is(err, kms.ErrKeyDisabled) {
		t.Errorf("KeyHealth of a retired key: %v", err)
	}
	if err := p.Health(t.Context()); err != nil {
		t.Errorf("Health: %v", err)
	}
	if err := open(t, line("a", "retired", 0)).Provider().Health(t.Context()); !errors.Is(err, kms.ErrKeyDisabled) {
		t.Errorf("Health without an active key: %v", err)
	}
	out, changed, err := p.Rewrap(t.Context(), "a", "a.2", wrapped, ec)
	if err != nil || !changed {
		t.Fatalf("Rewrap: %v %v", changed, err)
	}
	if back, err := p.Unwrap(t.Context(), "a.2", out, ec); err != nil || back != key {
		t.Errorf("Unwrap after Rewrap: %v", err)
	}
}

func TestFamilies(t *testing.T) {
	f := open(t, line("main.2", "active", 0), line("main", "retired", 1), line("main.10", "active", 2), line("main.11", "disabled", 3),
		line("main.x", "active", 4), line("main.02", "active", 5), line("main.1", "active", 6), line("old", "retired", 7), line("main2", "active", 8))
	for _, c := range []struct {
		id, wraps string
		err       error
		family    []string
	}{
		{"main", "main.10", nil, []string{"main.10", "main.2", "main.11", "main"}},
		{"main.2", "main.2", nil, []string{"main.2"}},
		{"main.x", "main.x", nil, []string{"main.x"}},
		{"main.02", "main.02", nil, []string{"main.02"}},
		{"main.1", "main.1", nil, []string{"main.1"}},
		{"main.11", "", kms.ErrKeyDisabled, []string{"main.11"}},
		{"old", "", kms.ErrKeyDisabled, []string{"old"}},
		{"mai", "", kms.ErrKeyNotFound, nil},
		{"", "", kms.ErrKeyNotFound, nil},
	} {
		got, err := f.Resolve(c.id)
		if got != c.wraps || !errors.Is(err, c.err) {
			t.Errorf("Resolve(%q) = %q, %v", c.id, got, err)
		}
		if got := f.Family(c.id); !slices.Equal(got, c.family) {
			t.Errorf("Family(%q) = %q, want %q", c.id, got, c.family)
		}
	}
	var wraps []string
	for _, i := range f.List() {
		if i.Wraps {
			wraps = append(wraps, i.ID)
		}
	}
	if want := []string{"main.10", "main.x", "main.02", "main.1", "main2"}; !slices.Equal(wraps, want) {
		t.Errorf("wrapping: %q, want %q", wraps, want)
	}
}

func TestClosedFileGivesNoKey(t *testing.T) {
	f := open(t, line("a", "active", 0))
	f.Close()
	if _, _, err := f.Provider().Generate(t.Context(), "a", nil); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("Generate: %v", err)
	}
	if n := f.NonZero(); n != 0 {
		t.Errorf("%d keys are still in memory", n)
	}
}

func TestEveryMistakeIsReportedAtItsPlace(t *testing.T) {
	good := line("good", "active", 25)
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"several", "[\n" + good + ",\n{\"id\": \"a b\", \"created\": \"yesterday\",\n \"state\": \"on\", \"key\": \"AAAA\"},\n 7]", []string{
			"3:8: id must be 1 to 64 characters of A-Z a-z 0-9 . _ -",
			"3:26: created must be a time like 2026-01-02T15:04:05Z",
			"4:11: state must be \"active\", \"retired\" or \"disabled\"",
			"4:24: key must be 32 bytes in base64",
			"5:2: a key must be an object",
		}},
		{"missing", `[{}]`, []string{"1:2: id is missing", "1:2: created is missing", "1:2: state is missing", "1:2: key is missing"}},
		{"unknown field", `[` + strings.Replace(good, `{`, `{"Id": "x", "note": {"a": [1, {"b": 2}]}, `, 1) + `]`,
			[]string{`1:3: unknown field "Id"`, `1:14: unknown field "note"`}},
		{"field twice", `[` + strings.Replace(good, `{`, `{"id": "other", `, 1) + `]`, []string{`1:18: field "id" stands twice`}},
		{"not a string", `[{"id": 5, "created": null, "state": ["active"], "key": {}}]`, []string{"1:9: id must be a string",
			"1:23: created must be a string", "1:38: state must be a string", "1:57: key must be a string"}},
		{"id twice", "[" + good + ",\n" + line("good", "retired", 1) + "]", []string{`2:1: id "good" stands twice`}},
		{"key twice", "[" + good + ",\n" + line("other", "retired", 25) + "]", []string{`2:1: "good" and "other" have the same key`}},
		{"empty list", " []", []string{"1:2: the list is empty"}},
		{"no list", good, []string{"1:1: the file must hold a list of keys"}},
		{"empty file", "", []string{"1:1: not JSON: the file ends too early"}},
		{"cut", "[" + good, []string{fmt.Sprintf("1:%d: not JSON: the file ends too early", len(good)+2)}},
		{"behind the end", "[" + good + "] []", []string{fmt.Sprintf("1:%d: data after the list", len(good)+4)}},
		{"short key", "[" + strings.Replace(good, b64(25), b64(25)[:40], 1) + "]", []string{"1:78: key must be 32 bytes in base64"}},
		{"long key", "[" + strings.Replace(good, b64(25), b64(25)[:40]+"AAAA", 1) + "]", []string{"1:78: key must be 32 bytes in base64"}},
		{"sloppy base64", "[" + strings.Replace(good, b64(25), b64(25)[:42]+"B=", 1) + "]", []string{"1:78: key must be 32 bytes in base64"}},
		{"no year", "[" + strings.Replace(good, "2026-03-01T12:00:00Z", "0000-01-01T00:00:00+23:00", 1) + "]",
			[]string{"1:28: created must be a time like 2026-01-02T15:04:05Z"}},
		{"long id", "[" + strings.Replace(good, "good", strings.Repeat("a", 65), 1) + "]", []string{"1:9: id must be 1 to 64 characters of A-Z a-z 0-9 . _ -"}},
	} {
		path := put(t, c.text)
		_, err := local.Open(path)
		var parse *local.ParseError
		if !errors.As(err, &parse) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := path + ":" + strings.Join(c.want, "\n"+path+":")
		if err.Error() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, err, want)
		}
	}
}

func TestMistakesDoNotQuoteKeys(t *testing.T) {
	secret := strings.Repeat("Secr", 11)
	for _, text := range []string{
		`[{"id": "a", "created": "2026-03-01T12:00:00Z", "state": "active", "key": "` + secret + `!"}]`,
		`[{"id": "a", "key": "` + secret + `" "state"}]`,
		`[{"id": "a", "key": ["` + secret + `"]}]`,
	} {
		if _, err := local.Open(put(t, text)); err == nil || strings.Contains(err.Error(), "Secr") {
			t.Errorf("%v", err)
		}
	}
}

func TestNewRotateList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := local.New(path, "main", day); err != nil {
		t.Fatal(err)
	}
	first, err := local.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ec := kms.RealmContext("r", nil)
	key, wrapped, err := first.Provider().Generate(t.Context(), "main", ec)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"main.2", "main.3"} {
		if kid, err := local.Rotate(path, "main", day.Add(time.Duration(i+1)*time.Hour)); kid != want || err != nil {
			t.Fatalf("Rotate: %q, %v", kid, err)
		}
	}
	want := []local.Info{
		{ID: "main", Created: day, State: local.Retired},
		{ID: "main.2", Created: day.Add(time.Hour), State: local.Retired},
		{ID: "main.3", Created: day.Add(2 * time.Hour), State: local.Active, Wraps: true},
	}
	if got, err := local.List(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("List: %v, %v", got, err)
	}
	f, err := local.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if kid, err := f.Resolve("main"); kid != "main.3" || err != nil {
		t.Errorf("Resolve: %q, %v", kid, err)
	}
	if back, err := f.Provider().Unwrap(t.Context(), "main", wrapped, ec); err != nil || back != key {
		t.Errorf("what the first generation wrapped: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestNewNeverReplaces(t *testing.T) {
	path := put(t, "precious")
	if err := local.New(path, "main", day); !errors.Is(err, os.ErrExist) {
		t.Errorf("New: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file now holds %q", text)
	}
	for _, id := range []string{"", "main.2", "a/b", "@sse-c", strings.Repeat("a", 65)} {
		if err := local.New(filepath.Join(t.TempDir(), "k"), id, day); err == nil {
			t.Errorf("New accepted the id %q", id)
		}
	}
}

func TestRotateKeepsWhatItCannotRead(t *testing.T) {
	for _, text := range []string{"[]", "[" + line("main", "active", 0) + ","} {
		path := put(t, text)
		if _, err := local.Rotate(path, "main", day); err == nil {
			t.Error("Rotate accepted a broken file")
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Error("Rotate changed a broken file")
		}
	}
	path := put(t, "["+line("main", "active", 0)+"]")
	if _, err := local.Rotate(path, "other", day); !errors.Is(err, kms.ErrKeyNotFound) {
		t.Errorf("unknown family: %v", err)
	}
}

func TestConcurrentRotationsLoseNoKey(t *testing.T) {
	path := put(t, "["+line("main", "active", 0)+"]")
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := local.Rotate(path, "main", day)
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if infos, err := local.List(path); err != nil || len(infos) != 9 {
		t.Errorf("%d keys, %v", len(infos), err)
	}
}

func TestRotateFollowsSymlinks(t *testing.T) {
	path := put(t, "["+line("main", "active", 0)+"]")
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Rotate(link, "main", day); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if infos, err := local.List(path); err != nil || len(infos) != 2 {
		t.Errorf("the file behind it: %v, %v", infos, err)
	}
}
