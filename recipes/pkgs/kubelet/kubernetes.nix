# Programs out of the Kubernetes tree. Version, source and the level of the
# container runtime interface come from the lock entry: pin a newer source
# there (`osbuild lock`) and these recipes build it.
{ lib }:
let
  lock = "sources-kubelet";
  source = lib.upstreamSource {
    inherit lock;
    package = "kubernetes";
  };
  inherit (source) version;
  facts = (lib.lock lock).request.facts;
  importPath = "k8s.io/kubernetes";
in
assert lib.assertMsg (
  facts.criApi == "v1alpha2" || facts.criApi == "v1"
) "lock ${lock}: request.facts.criApi must be v1 or v1alpha2";
{
  inherit (facts) criApi;

  build =
    {
      prepare ? "",
      description,
      ...
    }@arguments:
    lib.buildGo (
      removeAttrs arguments [ "description" ]
      // {
        inherit version importPath;
        inherit (source) src;
        # reflect2 1.0.1, which is vendored, reaches into the runtime in a way
        # that Go has refused since 1.18; the SDK's is newer.
        prepare = ''
          if [ -d vendor/github.com/modern-go/reflect2 ]; then
            rm -r vendor/github.com/modern-go/reflect2
            cp -r /usr/share/gocode/src/github.com/modern-go/reflect2 vendor/github.com/modern-go/reflect2
          fi
        ''
        + prepare;
        tags = [
          "providerless"
          "dockerless"
          "selinux"
        ];
        extraLinkerFlags = "-checklinkname=0";
        variables = {
          "k8s.io/kubernetes/vendor/k8s.io/component-base/version.gitVersion" = "v${version}";
          "k8s.io/kubernetes/vendor/k8s.io/component-base/version.gitMajor" = "1";
          "k8s.io/kubernetes/vendor/k8s.io/component-base/version.gitTreeState" = "clean";
        };
        meta = {
          inherit description;
          license = "Apache-2.0";
          homepage = "https://kubernetes.io";
          cpe = "a:kubernetes:kubernetes";
        };
      }
    );
}
