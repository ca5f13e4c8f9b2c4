package main

import (
	"fmt"
	"maps"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"

	"s3veil/test/servers"
)

// user is one of the accounts that the suite wants; it exists at the store and, with the same key, at s3veil.
type user struct{ section, id, display, access, secret, tenant string }

func users(store *servers.Store) []user {
	main := user{section: "s3 main", id: "store", display: "store", access: store.AccessKey, secret: store.SecretKey}
	if store.Kind != servers.RGW {
		main.id, main.display = store.AccessKey, store.AccessKey
	}
	return []user{main,
		{section: "s3 alt", id: "suitealt", display: "suitealt", access: "suitealt", secret: "suite-alt-secret-0123456789-abcdefghij"},
		{section: "s3 tenant", id: "suitetenant", display: "suitetenant", access: "suitetenant",
			secret: "suite-tenant-secret-0123456789-abcdefg", tenant: "testx"},
	}
}

// enrol makes the users at the store, and gives Ceph RGW the keys that the suite asks for by name.
func enrol(store *servers.Store, people []user, python string) error {
	conf := filepath.Join(store.Dir, "ceph.conf")
	for _, u := range people[1:] {
		var cmd *exec.Cmd
		switch store.Kind {
		case servers.RGW:
			cmd = exec.Command("radosgw-admin", "-c", conf, "user", "create", "--uid", u.id, "--display-name", u.display,
				"--access-key", u.access, "--secret", u.secret)
			if u.tenant != "" {
				cmd.Args = append(cmd.Args, "--tenant", u.tenant)
			}
		case servers.MinIO:
			cmd = exec.Command(python, "-c", minioUser, strings.TrimPrefix(store.Endpoint, "http://"), store.AccessKey, store.SecretKey, u.access, u.secret)
		default:
			program, err := servers.VersityProgram()
			if err != nil {
				return err
			}
			cmd = exec.Command(program, "admin", "-a", store.AccessKey, "-s", store.SecretKey, "-er", store.Endpoint,
				"create-user", "-a", u.access, "-s", u.secret, "-r", "userplus")
		}
		cmd.Env = servers.CleanEnv()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", u.section, err, out)
		}
	}
	if store.Kind == servers.RGW {
		return keys(conf)
	}
	return nil
}

// minioUser makes a user of MinIO's admin API, by the package minio of PyPI.
const minioUser = `import sys
from minio import MinioAdmin
from minio.credentials import StaticProvider
where, root, secret, user, password = sys.argv[1:]
admin = MinioAdmin(endpoint=where, credentials=StaticProvider(root, secret), secure=False)
admin.user_add(user, password)
admin.policy_set("readwrite", user=user)
`

// keys lets Ceph RGW encrypt without TLS, under the keys of the suite's configuration.
func keys(conf string) error {
	for _, kv := range [][2]string{{"rgw_crypt_require_ssl", "false"}, {"rgw_crypt_s3_kms_backend", "testing"},
		{"rgw_crypt_s3_kms_encryption_keys", "testkey-1=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo= testkey-2=aWIKTWFrZWZpbGUKbWFuCm91dApzcmMKVGVzdGluZwo="}} {
		out, err := exec.Command("ceph", "-c", conf, "config", "set", "client.admin", kv[0], kv[1]).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ceph config: %w: %s", err, out)
		}
	}
	return nil
}

// settings are those of s3veil: every request goes up under its own client's key, anonymous ones under none.
func settings(config map[string]any, people []user) {
	rights := map[string]any{"buckets": []string{"*"}, "actions": []string{"read", "write", "delete", "admin"}}
	var clients []any
	for _, u := range people {
		c := map[string]any{"access_key": u.access, "secret_key": u.secret, "sigv2": true}
		maps.Copy(c, rights)
		clients = append(clients, c)
	}
	anybody := map[string]any{"anonymous": true}
	maps.Copy(anybody, rights)
	config["clients"] = append(clients, anybody)
	config["buckets"].([]any)[0].(map[string]any)["listing"] = "exact"
	up := config["upstream"].(map[string]any)
	up["credentials"], up["reserved_credentials"] = "client", up["credentials"]
	key := config["kms"].(map[string]any)["keys"].([]any)[0].(map[string]any)
	key["aliases"] = []string{"testkey-1", "testkey-2"}
}

// suiteConf is the suite's configuration file.
func suiteConf(endpoint string, people []user) string {
	u, _ := url.Parse(endpoint) // made by the test servers
	var b strings.Builder
	fmt.Fprintf(&b, "[DEFAULT]\nhost = %s\nport = %s\nis_secure = %t\nssl_verify = False\n", u.Hostname(), u.Port(), u.Scheme == "https")
	b.WriteString("[fixtures]\nbucket prefix = suite-{random}-\niam name prefix = s3-tests-\niam path prefix = /s3-tests/\n")
	for _, p := range append(people, []user{{section: "iam"}, {section: "iam root"}, {section: "iam alt root"}}...) {
		fmt.Fprintf(&b, "[%s]\ndisplay_name = %s\nuser_id = %s\nemail = %s@example.com\naccess_key = %s\nsecret_key = %s\n",
			p.section, p.display, p.id, p.id, p.access, p.secret)
		if p.section == "s3 main" {
			b.WriteString("api_name = default\nkms_keyid = testkey-1\nkms_keyid2 = testkey-2\n")
		}
		if p.section == "s3 tenant" {
			b.WriteString("tenant = testx\n")
		}
	}
	return b.String()
}
