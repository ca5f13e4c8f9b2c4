package kms

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretFilesOpenToOthersAreRefused(t *testing.T) {
	me := identity{uid: 1000, groups: []int{2000, 1000}}
	for _, c := range []struct {
		name     string
		uid, gid int
		perm     os.FileMode
		want     string // what the refusal says; empty for none
	}{
		{"one's own", 1000, 1000, 0o600, ""},
		{"one's own, read only", 1000, 1000, 0o400, ""},
		{"root's", 0, 0, 0o400, ""},
		{"another user's", 1001, 1000, 0o600, "belongs to another user (uid 1001)"},
		{"another user's, open to the group", 1001, 2000, 0o640, "belongs to another user (uid 1001)"},
		{"Secret of Kubernetes with fsGroup", 0, 2000, 0o440, ""},
		{"the same, writable by root", 0, 2000, 0o640, ""},
		{"credential of systemd, by access list", 0, 0, 0o440, ""},
		{"a group of others", 0, 3000, 0o440, "mode 0440, which lets a group in (gid 3000) that this process is not in: chmod 600"},
		{"one's own, open to the group", 1000, 1000, 0o640, "mode 0640, which lets its group in: chmod 600"},
		{"the group may write", 0, 2000, 0o660, "mode 0660, which lets its group do more than read: chmod 600"},
		{"the group may only write", 0, 2000, 0o620, "mode 0620, which lets its group do more than read: chmod 600"},
		{"the group may run it", 1000, 1000, 0o610, "mode 0610, which lets its group do more than read: chmod 600"},
		{"Secret of Kubernetes with its default mode", 0, 0, 0o644, "mode 0644, which lets every user in: chmod 600"},
		{"everybody reads", 1000, 1000, 0o604, "mode 0604, which lets every user in: chmod 600"},
		{"everybody writes", 1000, 1000, 0o602, "mode 0602, which lets every user in: chmod 600"},
		{"everybody runs it", 0, 0, 0o601, "mode 0601, which lets every user in: chmod 600"},
	} {
		err := owner{c.uid, c.gid}.check("f", c.perm, me)
		if got := text(err); c.want == "" && err != nil || c.want != "" && got != "f "+c.want && got != "f has "+c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestReadSecretFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, n := range []int{0, 1, 9, 10} {
		want := strings.Repeat("x", n)
		if b, err := ReadSecretFile(file("whole", want, 0o400), 10); err != nil || string(b) != want {
			t.Errorf("%d bytes: %q, %v", n, b, err)
		}
		if err := os.Remove(filepath.Join(dir, "whole")); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		file("long", strings.Repeat("x", 11), 0o600): "is longer than 10 bytes",
		file("open", "x", 0o644):                     "has mode 0644, which lets every user in: chmod 600",
		dir:                                          "is not a regular file",
		filepath.Join(dir, "missing"):                "no such file or directory",
	} {
		if b, err := ReadSecretFile(path, 10); err == nil || !strings.Contains(err.Error(), want) || b != nil {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
}
