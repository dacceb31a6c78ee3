# What a service may do (systemd.exec(5), systemd.resource-control(5)): a strict
# base, and what it needs beyond that, each with its reason. It becomes a
# drop-in beside the unit, in which a reader finds both.
lib:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    isList
    listToAttrs
    map
    ;

  # A mount namespace of its own: what the service mounts nobody else sees, and
  # what it sees is not what the node has.
  mounts = {
    PrivateDevices = "yes";
    # Comes with a /sys of its own.
    PrivateNetwork = "yes";
    PrivateTmp = "disconnected";
    ProcSubset = "pid";
    ProtectControlGroups = "yes";
    ProtectHome = "yes";
    ProtectKernelLogs = "yes";
    ProtectKernelModules = "yes";
    ProtectKernelTunables = "yes";
    ProtectProc = "invisible";
    ProtectSystem = "strict";
  };

  # What a program that reads files, talks to sockets of the node and starts
  # other such programs can do without. User namespaces of its own are not
  # among them: the node lets nobody make any.
  base = mounts // {
    CapabilityBoundingSet = "";
    IPAddressDeny = "any";
    LockPersonality = "yes";
    MemoryDenyWriteExecute = "yes";
    NoNewPrivileges = "yes";
    ProtectClock = "yes";
    ProtectHostname = "yes";
    RestrictAddressFamilies = "AF_UNIX";
    RestrictNamespaces = "yes";
    RestrictRealtime = "yes";
    RestrictSUIDSGID = "yes";
    SystemCallArchitectures = "native";
    # A program says what it was refused, rather than dying of it.
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged @resources"
    ];
    UMask = "0077";
  };

  lines =
    name: value:
    concatStringsSep "" (map (one: "${name}=${one}\n") (if isList value then value else [ value ]));

  # Directives that share a reason stand below it together.
  exceptions =
    needs:
    let
      names = attrNames needs;
      below =
        reason:
        let
          members = builtins.filter (name: needs.${name}.reason == reason) names;
          left = builtins.filter (name: needs.${name}.value == null) members;
          said = builtins.filter (name: needs.${name}.value != null) members;
        in
        "\n# ${reason}\n"
        + lib.optionalString (left != [ ]) "# Not restricted: ${concatStringsSep ", " left}\n"
        + concatStringsSep "" (map (name: lines name needs.${name}.value) said);
    in
    concatStringsSep "" (map below (lib.unique (map (name: needs.${name}.reason) names)));
in
{
  sandbox = rec {
    # A value, and why it is needed.
    because = reason: value: { inherit value reason; };

    # The base's directives of these names do not hold, for one reason.
    without =
      names: reason:
      listToAttrs (
        map (name: {
          inherit name;
          value = because reason null;
        }) names
      );

    # The mounts of the node itself.
    onHostMounts = without (attrNames mounts);

    # Nothing of the base.
    unconfined = without (attrNames base);

    # The kernel's log and the console, where `osbuild_sys::console` writes:
    # the devices of the node, of which only these open, and those given.
    onConsole =
      devices:
      without [
        "PrivateDevices"
        "ProtectKernelLogs"
      ] "/dev/kmsg and /dev/console are no private devices"
      // {
        DeviceAllow = because "where it says what an operator must see, and what it works on" (
          [
            "/dev/console w"
            "/dev/kmsg w"
          ]
          ++ devices
        );
        DevicePolicy = because "no other device opens" "closed";
        UMask = because "what it says of itself below /run/osbuild anybody may read" "0022";
      };

    # To the drop-in of a service that needs so much.
    dropIn =
      needs:
      let
        held = lib.filterAttrs (name: _: !(needs ? ${name})) base;
      in
      "[Service]\n" + concatStringsSep "" (map (name: lines name held.${name}) (attrNames held)) + exceptions needs;
  };
}
