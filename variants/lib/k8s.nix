# A Kubernetes node: kubelet, a pod network of its own, static pods.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (pkgs) kubelet pause-image probe-image;
  containerd = config.containerd.package;
  namespace = "k8s.io";

  # Images that the root carries, for pods that need no registry.
  importImage = file: "ExecStart=/usr/bin/ctr -n ${namespace} images import /usr/share/osbuild/images/${file}.tar";
  importUnit = ''
    [Unit]
    Description=Import the container images of the root
    Requires=containerd.service
    After=containerd.service

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ${importImage "pause-image"}
    ${importImage "probe-image"}
  '';

  kubeletUnit = ''
    [Unit]
    Description=Kubernetes node agent
    Requires=containerd.service osbuild-images.service
    After=containerd.service osbuild-images.service

    [Service]
    ExecStart=/usr/bin/kubelet \
      --config=/etc/kubernetes/kubelet.json \
      --container-runtime=remote \
      --container-runtime-endpoint=unix:///run/containerd/containerd.sock \
      --image-service-endpoint=unix:///run/containerd/containerd.sock \
      --root-dir=/var/lib/kubelet \
      --cert-dir=/var/lib/kubelet/pki \
      --hostname-override=localhost \
      --pod-infra-container-image=${pause-image.reference} \
      --volume-plugin-dir=/var/lib/kubelet/plugins/volume
    Restart=always
    RestartSec=5
    OOMScoreAdjust=-999
  '';

  kubeletConfiguration = {
    apiVersion = "kubelet.config.k8s.io/v1beta1";
    kind = "KubeletConfiguration";
    address = "127.0.0.1";
    # Without an API server there is nobody to ask about tokens.
    authentication = {
      anonymous.enabled = false;
      webhook.enabled = false;
    };
    authorization.mode = "AlwaysAllow";
    # runc's own, since no message bus runs on the node.
    cgroupDriver = "cgroupfs";
    failSwapOn = false;
    healthzBindAddress = "127.0.0.1";
    healthzPort = 10248;
    # No iptables program in the root: kube-proxy brings its own.
    makeIPTablesUtilChains = false;
    readOnlyPort = 10255;
    staticPodPath = "/etc/kubernetes/manifests";
    resolvConf = "/etc/resolv.conf";
  };

  # Proves on every start that kubelet, containerd, runc and CNI work together.
  probePod = {
    apiVersion = "v1";
    kind = "Pod";
    metadata = {
      name = "probe";
      namespace = "kube-system";
    };
    spec = {
      containers = [
        {
          name = "probe";
          image = probe-image.reference;
          imagePullPolicy = "Never";
          command = [
            "/probe"
            "pod"
            "--stay"
          ];
          volumeMounts = [
            {
              name = "nonce";
              mountPath = "/nonce";
              readOnly = true;
            }
          ];
        }
      ];
      volumes = [
        {
          name = "nonce";
          hostPath = {
            path = "/run/osbuild/nonce";
            type = "File";
          };
        }
      ];
    };
  };

  bridge = {
    cniVersion = "0.4.0";
    name = "pods";
    plugins = [
      {
        type = "bridge";
        bridge = "cni0";
        isGateway = true;
        ipMasq = false;
        ipam = {
          type = "host-local";
          dataDir = "/run/cni/networks";
          ranges = [ [ { subnet = "10.88.0.0/16"; } ] ];
          routes = [ { dst = "0.0.0.0/0"; } ];
        };
      }
    ];
  };
in
{
  config = {
    packages = [
      kubelet
      pkgs.cni-plugins
    ];

    services = {
      "osbuild-images.service" = {
        text = importUnit;
        wantedBy = [ "multi-user.target" ];
      };
      "kubelet.service" = {
        text = kubeletUnit;
        wantedBy = [ "multi-user.target" ];
      };
    };

    files."usr/lib/tmpfiles.d/osbuild-k8s.conf" = ''
      d /var/lib/kubelet 0755 root root -
      d /var/log/pods 0755 root root -
      d /var/log/containers 0755 root root -
      d /run/cni 0755 root root -
    '';

    etc = {
      "kubernetes/kubelet.json" = builtins.toJSON kubeletConfiguration;
      "kubernetes/manifests/probe.json" = builtins.toJSON probePod;
      "cni/net.d/10-pods.conflist" = builtins.toJSON bridge;
      "resolv.conf" = "";
    };

    health.checks = [
      {
        name = "kubelet is up";
        kind = "http";
        url = "http://127.0.0.1:10248/healthz";
      }
      {
        name = "the static pod runs";
        kind = "http";
        url = "http://127.0.0.1:10255/pods";
        contains = "\"phase\":\"Running\"";
      }
      {
        name = "the static pod answered";
        kind = "container";
        log = "/var/log/pods/kube-system_probe-localhost_*/probe/0.log";
      }
    ];

    # Kubelet and its runtime must speak the same interface.
    assertions = [
      {
        holds =
          kubelet.criApi == "v1"
          || lib.hasPrefix "1." containerd.version;
        message = "kubelet ${kubelet.version} speaks ${kubelet.criApi}, which containerd ${containerd.version} no longer serves: take a containerd 1.7 as containerd.package, or pin a newer kubelet in recipes/locks/sources-kubelet.json";
      }
    ];
  };
}
