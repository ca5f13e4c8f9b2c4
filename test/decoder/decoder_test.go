//go:build integration

// Package decoder holds the independent decoder (FORMAT.md 14.1), in Python, and the tests that run it. They need
// python3 with the package cryptography.
package decoder

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"s3veil/crypto/vector"
)

const vectorRoot = "../../crypto/testdata/vectors"

// decode runs the decoder, with the Python of S3VEIL_TEST_PYTHON if that is set.
func decode(args ...string) (string, error) {
	python := cmp.Or(os.Getenv("S3VEIL_TEST_PYTHON"), "python3")
	out, err := exec.Command(python, append([]string{"s3veil_decode.py"}, args...)...).CombinedOutput()
	return string(out), err
}

func TestDecoderAgreesWithEveryVector(t *testing.T) {
	out, err := decode("--vectors", vectorRoot)
	if err != nil || !strings.Contains(out, " 0 disagreements") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A decoder that accepted everything would pass only if nothing were compared.
func TestDecoderDisagreesWithAChangedVector(t *testing.T) {
	root := t.TempDir()
	for _, kind := range vector.Kinds {
		list, err := vector.Load(vectorRoot, kind)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(root, kind), 0o755); err != nil {
			t.Fatal(err)
		}
		changed := 0
		for _, v := range list {
			if v.Expect() != vector.Success || len(v.Raw) == 0 || changed == 1 {
				continue
			}
			changed++
			v.Raw[len(v.Raw)-1] ^= 1
			if err := os.WriteFile(filepath.Join(root, kind, v.Name), v.Format(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := decode("--vectors", root)
	if err == nil || !strings.Contains(out, fmt.Sprintf("%d vectors, %d disagreements", len(vector.Kinds), len(vector.Kinds))) {
		t.Errorf("%v\n%s", err, out)
	}
}

// copyOf writes an object vector as docs/RECOVERY.md has it copied, with a key file, and returns both.
func copyOf(t *testing.T, name string) (v *vector.Vector, dir, keys string) {
	t.Helper()
	list, err := vector.Load(vectorRoot, "object")
	if err != nil {
		t.Fatal(err)
	}
	for _, candidate := range list {
		if candidate.Name == name {
			v = candidate
		}
	}
	if v == nil {
		t.Fatalf("no vector object/%s", name)
	}
	dir = t.TempDir()
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"some/plain", string(v.Bytes("key"))}
	write("1.body", []byte("not encrypted"))
	write("1.json", []byte(`{"ContentType":"text/plain"}`))
	body, rest := v.Raw, len(v.Raw)
	manifests := v.All("manifest") // they follow the body in this order
	for i := len(manifests) - 1; i >= 0; i-- {
		name, text, _ := strings.Cut(manifests[i], " ")
		length, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		names = slices.Insert(names, 2, name)
		write(fmt.Sprintf("%d.body", 3+i), body[rest-length:rest])
		write(fmt.Sprintf("%d.json", 3+i), []byte("{}"))
		rest -= length
	}
	write("2.body", body[:rest])
	write("2.json", answer(t, v))
	index, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	write("keys.json", index)
	keys = filepath.Join(dir, "main.json")
	id, key, _ := strings.Cut(v.Text("kek"), " ")
	raw, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	write("main.json", fmt.Appendf(nil, `[{"id":%q,"created":"2026-01-01T00:00:00Z","state":"active","key":%q}]`, id, base64.StdEncoding.EncodeToString(raw)))
	return v, dir, keys
}

// keysOf reads the list of keys of a copied bucket.
func keysOf(t *testing.T, dir string) (keys []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

// answer is what aws s3api get-object prints for the headers of a vector.
func answer(t *testing.T, v *vector.Vector) []byte {
	t.Helper()
	metadata, out := map[string]string{}, map[string]any{}
	for _, h := range v.Pairs("header") {
		if name, ok := strings.CutPrefix(h[0], "x-amz-meta-"); ok {
			metadata[name] = h[1]
		} else if h[0] == "content-type" {
			out["ContentType"] = h[1]
		}
	}
	out["Metadata"] = metadata
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func checkPlain(t *testing.T, v *vector.Vector, file string) {
	t.Helper()
	plain, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(plain)
	if hex.EncodeToString(sum[:]) != v.Text("plaintext-sha256") {
		t.Errorf("%d bytes of other plaintext", len(plain))
	}
}

func TestRecoverABucket(t *testing.T) {
	for _, name := range []string{"single-put", "empty", "padded", "client-pairs", "multipart-unaligned", "second-name-wins", "sealed-metadata"} {
		t.Run(name, func(t *testing.T) {
			v, dir, keys := copyOf(t, name)
			out := t.TempDir()
			text, err := decode("--bucket", dir, "--keys", keys, "--bound", "bkt", "--realm", "default", "--out", out)
			if err == nil || !strings.Contains(text, "some/plain: plaintext") {
				t.Errorf("the plaintext object was not reported: %v %s", err, text)
			}
			if strings.Contains(text, "warning") || strings.Contains(text, "Traceback") {
				t.Error(text)
			}
			checkPlain(t, v, filepath.Join(out, "2"))
			index, err := os.ReadFile(filepath.Join(out, "index.json"))
			if err != nil {
				t.Fatal(err)
			}
			var list []struct {
				Key, File string
				Sealed    map[string]string `json:"sealed_metadata"`
			}
			if err := json.Unmarshal(index, &list); err != nil || len(list) != 1 || list[0].Key != "dir/obj.bin" || list[0].File != "2" {
				t.Errorf("index %s (%v)", index, err)
			}
			if name == "sealed-metadata" && list[0].Sealed["a"] != "1" {
				t.Errorf("sealed metadata %v", list[0].Sealed)
			}
		})
	}
}

func TestRecoverOneObject(t *testing.T) {
	v, dir, keys := copyOf(t, "second-name-wins")
	out := filepath.Join(t.TempDir(), "plain")
	args := []string{"--keys", keys, "--bound", "bkt", "--realm", "default", "--key", "dir/obj.bin", "--body", filepath.Join(dir, "2.body"),
		"--meta", filepath.Join(dir, "2.json"), "--out", out}
	if text, err := decode(append(args, "--manifest", filepath.Join(dir, "3.body"), filepath.Join(dir, "4.body"))...); err != nil {
		t.Fatalf("%v %s", err, text)
	}
	checkPlain(t, v, out)
}

// A damaged object leaves no file under its name.
func TestRecoverRefusesADamagedBody(t *testing.T) {
	_, dir, keys := copyOf(t, "multipart-unaligned")
	body := filepath.Join(dir, "2.body")
	b, err := os.ReadFile(body)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(body, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	text, err := decode("--bucket", dir, "--keys", keys, "--bound", "bkt", "--realm", "default", "--out", out)
	if err == nil || !strings.Contains(text, "dir/obj.bin: stream") {
		t.Errorf("%v %s", err, text)
	}
	if _, err := os.Stat(filepath.Join(out, "2")); err == nil {
		t.Error("a file was written")
	}
}

// Keys of another KMS are asked of a program (docs/RECOVERY.md).
func TestRecoverWithAnUnwrapProgram(t *testing.T) {
	v, dir, _ := copyOf(t, "client-pairs")
	program := filepath.Join(t.TempDir(), "unwrap")
	var ikek bytes.Buffer
	for i := range 32 {
		ikek.WriteByte(byte(0x20 + i))
	}
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = main ] && echo \"$3\" | grep -q '\"team\": \"red\"' && echo %s\n", base64.StdEncoding.EncodeToString(ikek.Bytes()))
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	text, _ := decode("--bucket", dir, "--unwrap", program, "--bound", "bkt", "--realm", "default", "--out", out)
	if strings.Contains(text, "dir/obj.bin") {
		t.Error(text)
	}
	checkPlain(t, v, filepath.Join(out, "2"))
}
