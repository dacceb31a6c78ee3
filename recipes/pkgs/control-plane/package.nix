# A control plane for tests: the programs that a node joins, out of the tree
# that its kubelet comes from.
{ lib }:
let
  kubernetes = import ../kubelet/kubernetes.nix { inherit lib; };
  etcd = lib.source {
    name = "etcd-main";
    root = ./.;
    include = [ "etcd.go" ];
  };
in
kubernetes.build {
  pname = "control-plane";
  programs = {
    etcd = "cmd/etcd";
    kube-apiserver = "cmd/kube-apiserver";
    kube-controller-manager = "cmd/kube-controller-manager";
    kube-proxy = "cmd/kube-proxy";
    kube-scheduler = "cmd/kube-scheduler";
    kubectl = "cmd/kubectl";
  };
  # The tree lacks what its makefiles generate: the description of the API
  # (build/root/Makefile.generated_files, "OpenAPI generation").
  prepare = ''
    mkdir cmd/etcd
    cp ${etcd}/etcd.go cmd/etcd/main.go
    tree=k8s.io/kubernetes
    directories=$(grep -RlE --include='*.go' '^// \+k8s:openapi-gen=' pkg vendor/k8s.io \
      | grep -vE '^vendor/k8s.io/(code-generator|sample-apiserver)/|_test.go$|/testdata/' \
      | xargs -n1 dirname | LC_ALL=C sort -u | sed "s|^|$tree/|" | paste -sd, -)
    go build -o "$NIX_BUILD_TOP/openapi-gen" "$tree/vendor/k8s.io/kube-openapi/cmd/openapi-gen"
    # Types of the standard library are looked up in its source.
    GOROOT=$(go env GOROOT) "$NIX_BUILD_TOP/openapi-gen" --logtostderr -i "$directories" -p "$tree/pkg/generated/openapi" \
      -O zz_generated.openapi -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt \
      -r "$NIX_BUILD_TOP/violations" --output-base "$NIX_BUILD_TOP/gopath/src"
  '';
  description = "Kubernetes control plane and etcd, for tests";
}
