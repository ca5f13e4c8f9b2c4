// Command vault is a HashiCorp Vault server (MPL-2.0) in memory for integration tests: the transit engine, AppRole and
// Kubernetes authentication. It is built in a module of its own (build_vault in .ci/lib.sh), runs as a process of its own
// and is set up over its HTTP API: PUT sys/init, PUT sys/unseal, POST sys/mounts/transit.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/hashicorp/go-hclog"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8200", "listen address, loopback only")
	flag.Parse()
	quiet := hclog.NewNullLogger()
	storage, err := inmem.NewInmem(nil, quiet)
	if err != nil {
		log.Fatal(err)
	}
	core, err := vault.NewCore(&vault.CoreConfig{Physical: storage, Logger: quiet, DisableMlock: true, BuiltinRegistry: noPlugins{},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory, "kubernetes": kubernetes.Factory},
		LogicalBackends:    map[string]logical.Factory{"transit": transit.Factory}})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening", l.Addr())
	log.Fatal(http.Serve(l, vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core})))
}

// noPlugins is a registry without plugins: what the server knows is compiled in.
type noPlugins struct{}

func (noPlugins) Contains(string, consts.PluginType) bool { return false }
func (noPlugins) Get(string, consts.PluginType) (func() (interface{}, error), bool) {
	return nil, false
}
func (noPlugins) Keys(consts.PluginType) []string { return nil }
func (noPlugins) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Unknown, false
}
