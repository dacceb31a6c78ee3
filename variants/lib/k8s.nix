# A Kubernetes node: kubelet, a pod network of its own, static pods.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (pkgs) kubelet pause-image probe-image;
  inherit (lib.settingTypes)
    bool
    integer
    list
    longText
    map
    record
    table
    text
    ;
  containerd = config.containerd.package;
  providers = config.credentialProviders;
  providerNames = builtins.attrNames providers;

  # Images that the root carries, for pods that need no registry.
  importUnit = ''
    [Unit]
    Description=Import the container images of the root
    Requires=containerd.service
    After=containerd.service

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/usr/lib/osbuild/images /usr/share/osbuild/images/pods.json
  '';

  nodeconfigUnit = ''
    [Unit]
    Description=Find out what configuration needs to know of the node
    Requires=osbuild-settings.service
    After=osbuild-settings.service

    [Service]
    User=osbuild-nodeconfig
    SupplementaryGroups=osbuild-api
    RuntimeDirectory=osbuild/nodeconfig
    RuntimeDirectoryPreserve=yes
    ExecStart=/usr/lib/osbuild/nodeconfig
    Restart=always
    RestartSec=2
  '';

  kubeletUnit = ''
    [Unit]
    Description=Kubernetes node agent
    Requires=containerd.service osbuild-images.service
    After=containerd.service osbuild-images.service

    [Service]
    EnvironmentFile=-/etc/kubernetes/proxy.env
    EnvironmentFile=/etc/kubernetes/kubelet.env
    EnvironmentFile=-/etc/kubernetes/credential-providers.env
    # Where kubelet writes how it reaches the cluster, on each start anew from
    # what the settings say; the certificate that it was given is in --cert-dir.
    RuntimeDirectory=kubelet
    RuntimeDirectoryMode=0700
    ExecStart=/usr/bin/kubelet \
      --config=/etc/kubernetes/kubelet.json \
      $NAME $CLUSTER $ADDRESS $PROVIDER $LABELS $TAINTS $CREDENTIALS \
      --container-runtime=remote \
      --container-runtime-endpoint=unix:///run/containerd/containerd.sock \
      --image-service-endpoint=unix:///run/containerd/containerd.sock \
      --root-dir=/var/lib/kubelet \
      --cert-dir=/var/lib/kubelet/pki \
      --pod-infra-container-image=${pause-image.reference} \
      --volume-plugin-dir=/var/lib/kubelet/plugins/volume
    Restart=always
    RestartSec=5
    OOMScoreAdjust=-999
  '';

  # Where clusters' own network plugins put their programs, above those of the
  # image: in memory, so that what a node runs is not changed for longer than
  # until its next start.
  pluginsMount = mountForContainers "Network plugins of the image and of the cluster" ''
    What=overlay
    Where=/opt/cni/bin
    Type=overlay
    Options=nosuid,nodev,lowerdir=/usr/libexec/cni,upperdir=/run/cni/plugins/upper,workdir=/run/cni/plugins/work
  '';

  # What network plugins note of a pod's network, which does not outlive a
  # start: of a note that a power cut emptied they say that it is no JSON, and
  # the pod could be neither taken down nor started again.
  networksMount = mountForContainers "What network plugins know of pods" ''
    What=tmpfs
    Where=/var/lib/cni
    Type=tmpfs
    Options=mode=0755,nosuid,nodev,noexec,size=64m
  '';

  # There before any container is.
  mountForContainers =
    description: mount:
    ''
      [Unit]
      Description=${description}
      # By default it would come before the directories that it is made of.
      DefaultDependencies=no
      Conflicts=umount.target
      Requires=systemd-tmpfiles-setup.service
      After=systemd-tmpfiles-setup.service
      Before=containerd.service umount.target

      [Mount]
    ''
    + mount;

  # Addresses of pods until the cluster brings its network.
  subnet = "10.88.0.0/16";
  masqueradeUnit = ''
    [Unit]
    Description=Let pods with addresses of the node's own subnet out
    Before=containerd.service

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/usr/lib/osbuild/masquerade ${subnet}
  '';

  inherit (lib.sandbox)
    because
    onConsole
    unconfined
    without
    ;

  masqueradeSandbox =
    without [ "PrivateNetwork" ] "the node's network is what it changes"
    // {
      CapabilityBoundingSet = because "rules of the network" "CAP_NET_ADMIN";
      RestrictAddressFamilies = because "the kernel's netfilter" "AF_NETLINK";
    };

  nodeconfigSandbox =
    without [ "PrivateNetwork" ] "the node's address, and EC2's metadata service"
    // {
      IPAddressAllow =
        because "EC2's metadata service; to learn its address, nothing is sent"
          "169.254.169.254";
      RestrictAddressFamilies =
        because "the settings', the metadata service's, and the kinds of address that a node has"
          "AF_UNIX AF_INET AF_INET6";
      UMask = because "anybody may read the facts" "0022";
    };

  own = because "only its own children inherit it: pods are the runtime's";
  kubeletSandbox =
    unconfined "it mounts volumes for pods, moves processes between their groups, reads and tunes what is theirs: it is root, and the socket of the runtime would make it so"
    // {
      LockPersonality = own "yes";
      NoNewPrivileges = own "yes";
      RestrictAddressFamilies = own "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
      RestrictNamespaces = own "yes";
      RestrictRealtime = own "yes";
      SystemCallArchitectures = own "native";
      SystemCallErrorNumber = own "EPERM";
      SystemCallFilter =
        because "the clock, other kernels and other programs' memory are not its business"
          "~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap";
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

  # When kubelet is meant to run: once the node has all that its settings need
  # for it, and when its bootstrap containers are done.
  started = {
    needs = "/etc/kubernetes/kubelet.env";
    unless = "/run/osbuild/held";
  };

  bridge = {
    cniVersion = "0.4.0";
    name = "pods";
    plugins = [
      {
        type = "bridge";
        bridge = "cni0";
        isGateway = true;
        # A pod reaches a service that it is behind itself.
        hairpinMode = true;
        # It would call iptables, which the image has not: osbuild-masquerade.
        ipMasq = false;
        ipam = {
          type = "host-local";
          dataDir = "/run/cni/networks";
          ranges = [ [ { inherit subnet; } ] ];
          routes = [ { dst = "0.0.0.0/0"; } ];
        };
      }
    ];
  };
in
{
  options.credentialProviders = lib.mkOption {
    type = lib.types.attrsOf (
      lib.types.submodule {
        options = {
          package = lib.mkOption {
            type = lib.types.package;
            description = "What brings the program.";
          };
          program = lib.mkOption {
            type = lib.types.str;
            description = "Its path in the root.";
          };
        };
      }
    );
    default = { };
    description = "Programs that kubelet asks for what a registry wants to be shown (kubelet.config.k8s.io, CredentialProviderConfig), by name. Settings enable them.";
  };

  config = {
    packages = [
      kubelet
      pkgs.cni-plugins
      pkgs.images
      pkgs.masquerade
      pkgs.nodeconfig
    ]
    ++ builtins.map (name: providers.${name}.package) providerNames;

    links = builtins.listToAttrs (
      builtins.map (name: {
        name = "usr/libexec/kubernetes/credential-providers/${name}";
        value = "/${providers.${name}.program}";
      }) providerNames
    );

    services = {
      "osbuild-nodeconfig.service" = {
        text = nodeconfigUnit;
        wantedBy = [ "multi-user.target" ];
        sandbox = nodeconfigSandbox;
      };
      "osbuild-masquerade.service" = {
        text = masqueradeUnit;
        wantedBy = [ "multi-user.target" ];
        sandbox = masqueradeSandbox;
      };
      "osbuild-images.service" = {
        text = importUnit;
        wantedBy = [ "multi-user.target" ];
        sandbox = onConsole [ ] // {
          ReadWritePaths = because "waits for its turn there" "/run/containerd";
        };
      };
      "opt-cni-bin.mount" = {
        text = pluginsMount;
        wantedBy = [ "multi-user.target" ];
      };
      "var-lib-cni.mount" = {
        text = networksMount;
        wantedBy = [ "multi-user.target" ];
      };
      # Started by the settings, as soon as they say all that it needs.
      "kubelet.service" = {
        text = kubeletUnit;
        sandbox = kubeletSandbox;
      };
    };

    directories = [ { path = "opt/cni/bin"; } ];

    users.osbuild-nodeconfig = {
      uid = 196;
      gid = 196;
      description = "facts about the node";
    };
    groups.osbuild-nodeconfig = 196;

    files."usr/share/osbuild/images/pods.json" = builtins.toJSON (
      builtins.listToAttrs (
        builtins.map
          (image: {
            name = image.reference;
            value = "/usr/share/osbuild/images/${image.pname}.tar";
          })
          [
            pause-image
            probe-image
          ]
      )
    );

    files."usr/lib/tmpfiles.d/osbuild-k8s.conf" = ''
      d /var/lib/kubelet 0755 root root -
      d /var/log/pods 0755 root root -
      d /var/log/containers 0755 root root -
      d /run/cni 0755 root root -
      d /run/cni/plugins/upper 0755 root root -
      d /run/cni/plugins/work 0755 root root -
    '';

    etc = {
      "kubernetes/manifests/probe.json" = builtins.toJSON probePod;
      # The last by name, so that a cluster's own goes before it.
      "cni/net.d/99-pods.conflist" = builtins.toJSON bridge;
    };

    settings.declare = {
      "kubernetes.api-server" = {
        type = text "url";
        description = "The cluster's API server; without one the node runs static pods alone.";
      };
      "kubernetes.cluster-certificate" = {
        type = longText "pem" 65536;
        description = "Certificates that the API server's is signed by.";
      };
      "kubernetes.bootstrap-token" = {
        type = text "line";
        secret = true;
        description = "The token that the node asks for its certificate with.";
      };
      "kubernetes.client-certificate" = {
        type = longText "pem" 65536;
        description = "The node's certificate in the cluster: CN=system:node:NAME, O=system:nodes. With it and its key the node needs no token.";
      };
      "kubernetes.client-key" = {
        type = longText "pem" 65536;
        secret = true;
        description = "The key of the node's certificate.";
      };
      "kubernetes.cluster-dns-ips" = {
        type = list (text "ip");
        default = [ ];
        description = "Servers that pods ask for names.";
      };
      "kubernetes.cluster-domain" = {
        type = text "hostname";
        default = "cluster.local";
        description = "The domain of the cluster's services.";
      };
      "kubernetes.node-name" = {
        type = text "hostname";
        description = "The node's name in the cluster; if nobody says, that of the cloud, or the host name.";
      };
      "kubernetes.node-ip" = {
        type = text "ip";
        description = "The node's address in the cluster; if nobody says, that of its route to elsewhere.";
      };
      "kubernetes.node-labels" = {
        type = map "label-key" (text "label-value");
        default = { };
        description = "Labels that the node registers with.";
      };
      "kubernetes.node-taints" = {
        type = map "label-key" (text "taint");
        default = { };
        description = "Taints that the node registers with.";
      };
      "kubernetes.max-pods" = {
        type = integer 1 1024;
        default = 110;
        description = "How many pods the node runs.";
      };
      "kubernetes.image-gc-high-threshold-percent" = {
        type = integer 1 100;
        default = 85;
        description = "How full DATA is when unused images are removed; 100: never.";
      };
      "kubernetes.image-gc-low-threshold-percent" = {
        type = integer 0 99;
        default = 80;
        description = "How full it may be left then; always below the other.";
      };
      "kubernetes.container-log-max-size" = {
        type = text "quantity";
        default = "10Mi";
        description = "Of a container's log before the next one is begun.";
      };
      "kubernetes.container-log-max-files" = {
        type = integer 2 100;
        default = 5;
        description = "How many logs of a container are kept.";
      };
      "kubernetes.kubelet" = {
        type = table;
        default = { };
        description = "Options of kubelet, as in KubeletConfiguration; they go before ours.";
      };
    }
    // (if providers == { } then { } else {
      "kubernetes.credential-providers" = {
        type = record (
          builtins.mapAttrs (_: _: {
            type = record {
              enabled = {
                type = bool;
                default = false;
                description = "Whether kubelet asks it.";
              };
              image-patterns = {
                type = list (text "line");
                default = [ ];
                description = "For which images, as *.registry.example.com/path; without any it is not asked.";
              };
              cache-duration = {
                type = text "duration";
                default = "12h";
                description = "How long an answer counts that does not say so itself.";
              };
              arguments = {
                type = list (text "line");
                default = [ ];
                description = "Its command line.";
              };
            };
            description = "A provider of the image.";
          }) providers
        );
        default = { };
        description = "Programs that kubelet asks for what a registry wants to be shown.";
      };
    });

    settings.templates = {
      "60-cluster-certificate" = ./templates/cluster-certificate;
      "61-client-certificate" = ./templates/client-certificate;
      "61-client-key" = ./templates/client-key;
      "61-kubelet-kubeconfig" = ./templates/kubelet-kubeconfig;
      "62-kubelet" = ./templates/kubelet;
      "63-kubelet-flags" = ./templates/kubelet-flags;
      "64-kubelet-waits" = ./templates/kubelet-waits;
      "67-kubelet-proxy" = ./templates/kubelet-proxy;
    }
    // (if providers == { } then { } else {
      "65-credential-providers" = ./templates/credential-providers;
      "66-credential-providers-env" = ./templates/credential-providers-env;
    });

    settings.facts = {
      node_ip = "10.0.2.15";
      private_dns_name = "ip-10-0-2-15.eu-west-1.compute.internal";
      provider_id = "aws:///eu-west-1a/i-0123456789abcdef0";
    };

    health.checks = [
      {
        name = "kubelet is up";
        kind = "http";
        url = "http://127.0.0.1:10248/healthz";
        inherit (started) needs unless;
      }
      {
        name = "the static pod answered";
        kind = "container";
        log = "/var/log/pods/kube-system_probe-*/probe/*.log";
        answers = "pod";
        inherit (started) needs unless;
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
