package policy

import (
	"slices"
	"strings"
	"testing"
)

// rooms says which packages of this module a room may import. Imports point down only: a room that is not named under may
// is not reachable. The longest prefix that fits decides.
var rooms = []struct {
	room string
	may  []string
	not  []string // exceptions from may
}{
	{room: "s3veil/sigv4", may: []string{"s3veil/sigv4"}},
	{room: "s3veil/crypto", may: []string{"s3veil/crypto"}, not: providers},
	{room: "s3veil/crypto/kms", may: []string{"s3veil/crypto/kms", "s3veil/crypto/kdf"}},
	{room: "s3veil/keycache", may: []string{"s3veil/crypto/kms"}, not: providers},
	{room: "s3veil/proxy", may: []string{"s3veil/proxy", "s3veil/sigv4", "s3veil/keycache", "s3veil/crypto"}, not: providers},
	{room: "s3veil/cmd", may: []string{"s3veil"}, not: []string{"s3veil/test"}},
	{room: "s3veil/test", may: []string{"s3veil"}},
}

// providers are the leaves that cmd alone imports; kmstest is their common suite.
var providers = []string{"s3veil/crypto/kms/local", "s3veil/crypto/kms/awskms", "s3veil/crypto/kms/transit",
	"s3veil/crypto/kms/gcpkms", "s3veil/crypto/kms/azurekv", "s3veil/crypto/kms/pkcs11", "s3veil/crypto/kms/kmstest"}

// homes says which rooms may import a library directly.
var homes = []struct {
	library string
	rooms   []string
}{
	{"github.com/minio/sio", []string{"s3veil/crypto/stream"}},
	{"github.com/valyala/fasthttp", []string{"s3veil/proxy", "s3veil/cmd"}},
	{"github.com/hashicorp/golang-lru", []string{"s3veil/keycache", "s3veil/proxy"}},
	{"github.com/prometheus/client_golang", []string{"s3veil/proxy", "s3veil/cmd"}},
	{"github.com/aws", []string{"s3veil/cmd", "s3veil/crypto/kms/awskms"}},
	{"golang.org/x/oauth2", []string{"s3veil/crypto/kms/gcpkms"}},
	{"github.com/Azure", []string{"s3veil/crypto/kms/azurekv"}},
	{"cloud.google.com", []string{"s3veil/crypto/kms/gcpkms"}},
	{"github.com/versity/versitygw", []string{"s3veil/cmd/s3veil/internal/devstore"}},
	{"gopkg.in/yaml.v3", []string{"s3veil/cmd"}},
	{"go.yaml.in/yaml", []string{"s3veil/cmd"}},
	{"github.com/miekg/pkcs11", []string{"s3veil/crypto/kms/pkcs11"}},
	{"github.com/spf13/cobra", []string{"s3veil/cmd"}},
	{"go.opentelemetry.io/otel", []string{"s3veil/proxy", "s3veil/cmd"}},
	{"go.opentelemetry.io/otel/sdk", []string{"s3veil/cmd"}},
	{"go.opentelemetry.io/otel/exporters", []string{"s3veil/cmd"}},
	{"go.opentelemetry.io/proto", []string{"s3veil/cmd"}},
}

// floor are packages that the lower rooms must not import: formats and signatures know no HTTP, no logging, no files.
var floor = map[string][]string{
	"s3veil/crypto/kdf":      {"net/http", "net", "log", "log/slog", "os", "encoding/xml"},
	"s3veil/crypto/size":     {"net/http", "net", "log", "log/slog", "os", "encoding/xml"},
	"s3veil/crypto/stream":   {"net/http", "net", "log", "log/slog", "os", "encoding/xml"},
	"s3veil/crypto/envelope": {"net/http", "net", "log", "log/slog", "os", "encoding/xml"},
	"s3veil/crypto/manifest": {"net/http", "net", "log", "log/slog", "os", "encoding/xml"},
	"s3veil/crypto/partnote": {"net/http", "net", "log", "log/slog", "os", "encoding/xml"},
	"s3veil/sigv4":           {"net/http", "log", "log/slog", "os", "encoding/xml"},
	"s3veil/keycache":        {"net/http", "os"},
	"s3veil/proxy/conn":      {"net/http", "log/slog", "github.com/valyala/fasthttp", "s3veil/proxy/s3err"},
	"s3veil/proxy/head":      {"net/http", "net", "os", "log/slog", "s3veil/proxy/s3err"},
	"s3veil/proxy/s3op":      {"net/http", "net", "os", "log/slog"},
	"s3veil/proxy/byterange": {"net/http", "net", "os", "log/slog"},
	"s3veil/proxy/policy":    {"net/http", "os", "log/slog"},
	"s3veil/proxy/sse":       {"net/http", "net", "os", "log/slog"},
}

// room returns the entry of rooms for a package.
func roomOf(path string) int {
	best := -1
	for i, r := range rooms {
		if under(path, r.room) && (best < 0 || len(r.room) > len(rooms[best].room)) {
			best = i
		}
	}
	return best
}

func anyUnder(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return under(path, p) })
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range list(t, "integration", "./...") {
		if !ours(p.ImportPath) {
			continue
		}
		i := roomOf(p.ImportPath)
		if i < 0 {
			t.Errorf("%s lies in no room", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if !ours(imp) {
				continue
			}
			if !anyUnder(imp, rooms[i].may) || anyUnder(imp, rooms[i].not) && !under(imp, p.ImportPath) && !under(p.ImportPath, imp) {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

func TestProvidersAreLeaves(t *testing.T) {
	for _, p := range list(t, "pkcs11", "./crypto/...") {
		if !under(p.ImportPath, "s3veil/crypto/kms") || p.ImportPath == "s3veil/crypto/kms" {
			continue
		}
		for _, imp := range p.Imports {
			if ours(imp) && imp != "s3veil/crypto/kms" && !under(imp, p.ImportPath) {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

func TestLibrariesHaveOneHome(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range list(t, "pkcs11", "./...") {
		if !ours(p.ImportPath) || under(p.ImportPath, "s3veil/test") {
			continue
		}
		for _, imp := range p.Imports {
			for _, h := range homes {
				if under(imp, h.library) {
					seen[h.library] = true
					if !anyUnder(p.ImportPath, h.rooms) {
						t.Errorf("%s imports %s, which is at home in %v", p.ImportPath, imp, h.rooms)
					}
				}
			}
		}
	}
	for _, required := range []string{"github.com/minio/sio", "github.com/valyala/fasthttp", "github.com/hashicorp/golang-lru",
		"github.com/prometheus/client_golang"} {
		if !seen[required] {
			t.Errorf("%s is not used", required)
		}
	}
}

func TestLowerRoomsKnowNoHTTPNoLogsNoFiles(t *testing.T) {
	for _, p := range list(t, "", "./...") {
		for _, imp := range p.Imports {
			if slices.Contains(floor[p.ImportPath], imp) {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

// clouds are SDKs of cloud providers: proxy must work with a credential chain that is handed to it.
var clouds = []string{"github.com/aws", "github.com/Azure", "cloud.google.com", "google.golang.org/api",
	"github.com/hashicorp/vault-client-go", "github.com/versity"}

func TestProxyLinksNoCloudSDK(t *testing.T) {
	for _, p := range list(t, "", "./proxy/...") {
		if anyUnder(p.ImportPath, clouds) {
			t.Errorf("./proxy depends on %s", p.ImportPath)
		}
	}
}

// exporters keep spans and send them: proxy knows the API of tracing alone. Nothing links gRPC.
var exporters = []string{"go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters", "go.opentelemetry.io/proto"}

func TestProxyLinksNoExporter(t *testing.T) {
	for _, p := range list(t, "", "./proxy/...") {
		if anyUnder(p.ImportPath, exporters) {
			t.Errorf("./proxy depends on %s", p.ImportPath)
		}
	}
	found := false
	for _, p := range list(t, "nodevstore", "./cmd/s3veil") {
		found = found || anyUnder(p.ImportPath, exporters)
		if under(p.ImportPath, "google.golang.org/grpc") {
			t.Errorf("s3veil links %s", p.ImportPath)
		}
	}
	if !found {
		t.Error("s3veil links no exporter")
	}
}

func TestEmbeddedStoreStaysBehindItsTag(t *testing.T) {
	found := false
	for _, p := range list(t, "", "./cmd/s3veil") {
		found = found || under(p.ImportPath, "github.com/versity/versitygw")
	}
	if !found {
		t.Error("the plain build has no embedded store")
	}
	for _, p := range list(t, "nodevstore", "./cmd/s3veil") {
		if under(p.ImportPath, "github.com/versity") || under(p.ImportPath, "github.com/gofiber") {
			t.Errorf("built with nodevstore, s3veil links %s", p.ImportPath)
		}
	}
}

func TestProgramLinksNoTestLibrary(t *testing.T) {
	for _, tags := range []string{"", "nodevstore"} {
		for _, p := range list(t, tags, "./cmd/s3veil") {
			test := p.ImportPath == "testing" || strings.HasPrefix(p.ImportPath, "testing/") || under(p.ImportPath, "github.com/stretchr") ||
				under(p.ImportPath, "s3veil/test") || strings.HasSuffix(p.ImportPath, "/kmstest") || strings.HasSuffix(p.ImportPath, "/httptest")
			if test {
				t.Errorf("s3veil (tags %q) links %s", tags, p.ImportPath)
			}
		}
	}
}

// TestHardwareModulesTakeTheirTag: the library behind the provider is C, which no other build links.
func TestHardwareModulesTakeTheirTag(t *testing.T) {
	for tags, want := range map[string]bool{"": false, "nodevstore": false, "pkcs11": true} {
		linked := false
		for _, p := range list(t, tags, "./crypto/kms/pkcs11") {
			linked = linked || p.ImportPath == "github.com/miekg/pkcs11"
		}
		if linked != want {
			t.Errorf("tags %q: linked %t", tags, linked)
		}
	}
}
