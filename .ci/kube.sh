# The Kubernetes control plane of test/kube, compiled through the Go module proxy. Sourced after lib.sh.

kube_version=v1.36.3
kube_staging=v0.36.3
etcd_version=v3.7.3
kwok_version=v0.8.0
# Modules with the definitions of the objects that the chart makes for others.
crd_modules=(
  github.com/cert-manager/cert-manager@v1.19.2:deploy/crds/cert-manager.io_certificates.yaml
  sigs.k8s.io/gateway-api@v1.4.1:config/crd/standard/gateway.networking.k8s.io_httproutes.yaml
  github.com/prometheus-operator/prometheus-operator@v0.85.0:example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml
  github.com/prometheus-operator/prometheus-operator@v0.85.0:example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml
)

kube_cache() { echo "${XDG_CACHE_HOME:-$HOME/.cache}/s3veil-kube/$kube_version-$etcd_version-$kwok_version"; }

kube_is_built() { [ -x "$(kube_cache)/kwok" ] && chart_tools_are_built; }

module_dir() { (cd / && go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)",.*/\1/p'); }

# build_in_module NAME PACKAGE GOMOD...: compiles a main package into the cache, in a module of its own outside the repository,
# whose go.mod the command GOMOD prints.
build_in_module() {
  local out=$1 package=$2 dir
  shift 2
  [ ! -x "$(kube_cache)/$out" ] || return 0
  dir=$(mktemp -d)
  "$@" >"$dir/go.mod"
  (
    cd "$dir"
    CGO_ENABLED=0 GOFLAGS=-mod=mod nice -n 19 go build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$kube_version" \
      -o "$out.new" "$package"
    mv "$out.new" "$(kube_cache)/$out"
  )
  rm -rf "$dir"
}

# kube_module: Kubernetes points its staging modules at folders of its own repository; the published ones take their place.
kube_module() {
  local mod
  mod=$(cd / && go mod download -json "k8s.io/kubernetes@$kube_version" | sed -n 's/.*"GoMod": "\(.*\)",.*/\1/p')
  printf 'module kube\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes %s\n\nreplace (\n' "$kube_version"
  grep -hE '^[[:space:]]*k8s.io/[a-z0-9-]+ => \./staging' "$mod" | awk -v v="$kube_staging" '{print "\t" $1 " => " $1 " " v}'
  printf ')\n'
}

single_module() { printf 'module single\n\ngo 1.26.0\n\nrequire %s %s\n' "$1" "$2"; }

# build_kube: API server, controllers, scheduler, etcd and kwok (a node that only pretends), built once per version into the
# cache. A quarter of an hour on two idle cores, about 300 MB.
build_kube() {
  local command
  mkdir -p "$(kube_cache)"
  for command in kube-apiserver kube-controller-manager kube-scheduler; do
    build_in_module "$command" "k8s.io/kubernetes/cmd/$command" kube_module
  done
  build_in_module etcd go.etcd.io/etcd/server/v3 single_module go.etcd.io/etcd/server/v3 "$etcd_version"
  build_in_module kwok sigs.k8s.io/kwok/cmd/kwok single_module sigs.k8s.io/kwok "$kwok_version"
}

# kube_files: how the pretended node treats pods (stages.yaml), and definitions of foreign objects (crds).
kube_files() {
  local cache stages one module
  cache=$(kube_cache)
  stages=$(module_dir "sigs.k8s.io/kwok@$kwok_version")/kustomize/stage
  for one in "$stages"/{node,pod}/fast/{node,pod}-*.yaml; do
    [ ! -f "$one" ] || { cat "$one"; printf '\n---\n'; }
  done >"$cache/stages.yaml"
  mkdir -p "$cache/crds"
  for one in "${crd_modules[@]}"; do
    module=$(module_dir "${one%%:*}")
    install -m 644 "$module/${one#*:}" "$cache/crds/"
  done
}

# install_kube: what test/kube needs.
install_kube() {
  build_kube
  kube_files
  install_chart_tools
  S3VEIL_TEST_KUBE=$(kube_cache)
  export S3VEIL_TEST_KUBE
}
