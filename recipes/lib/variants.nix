# A variant: a module that says what it is, evaluated with the options of
# variants/lib, and composed into an image.
lib:
let
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    listToAttrs
    map
    replaceStrings
    toJSON
    ;

  licence = {
    license = "MIT OR Apache-2.0";
    homepage = null;
  };

  # TOML's basic strings are JSON's for what is printable (TOML 1.0, "String").
  tomlValue =
    value: if builtins.isList value then "[${concatStringsSep ", " (map toJSON value)}]" else toJSON value;

  healthText =
    health:
    let
      line = set: name: lib.optionalString (set.${name} != null) "${name} = ${tomlValue set.${name}}\n";
      check =
        entry: "\n[[check]]\n" + concatStringsSep "" (map (line entry) (attrNames entry));
    in
    ''
      schema = 1
      deadline_s = ${toString health.deadlineSeconds}
    ''
    + concatStringsSep "" (map check health.checks);

  # passwd(5) and group(5); nobody can log in, so every shell is missing.
  passwdText =
    users:
    concatStringsSep "" (
      map (name: "${name}:x:${toString users.${name}.uid}:${toString users.${name}.gid}:${users.${name}.description}:/:/usr/sbin/nologin\n") (
        byId (user: user.uid) users
      )
    );
  groupText =
    groups:
    concatStringsSep "" (map (name: "${name}:x:${toString groups.${name}}:\n") (byId (gid: gid) groups));
  byId = id: set: builtins.sort (a: b: id set.${a} < id set.${b}) (attrNames set);

  # sysctl.d(5).
  sysctlText =
    sysctls:
    concatStringsSep "\n" (
      map (name: "# ${sysctls.${name}.reason}\n${name} = ${toString sysctls.${name}.value}\n") (
        attrNames sysctls
      )
    );

  # Units and their enablement links, as files below /usr/lib/systemd/system.
  unitDirectory = "usr/lib/systemd/system";

  generatedFiles =
    { name, config }:
    let
      units = config.services;
      wanted = concatMap (
        unit:
        map (target: {
          name = "${unitDirectory}/${target}.wants/${unit}";
          value = "../${unit}";
        }) units.${unit}.wantedBy
      ) (attrNames units);
      text = value: { text = value; };
      made = lib.filterAttrs (_: unit: unit.text != null) units;
      sandboxed = lib.filterAttrs (_: unit: unit.sandbox != null) units;
      etc = listToAttrs (
        map (path: {
          name = "usr/share/factory/etc/${path}";
          value = text config.etc.${path};
        }) (attrNames config.etc)
      );
    in
    lib.writeTree {
      pname = "${name}-configuration";
      version = config.release.version;
      files =
        listToAttrs (
          map (unit: {
            name = "${unitDirectory}/${unit}";
            value = text units.${unit}.text;
          }) (attrNames made)
        )
        // listToAttrs (
          map (unit: {
            name = "${unitDirectory}/${unit}.d/20-sandbox.conf";
            value = text (lib.sandbox.dropIn units.${unit}.sandbox);
          }) (attrNames sandboxed)
        )
        // {
          "usr/lib/sysctl.d/10-osbuild.conf" = text (sysctlText config.kernel.sysctls);
        }
        // listToAttrs (
          map (path: {
            name = path;
            value = text config.files.${path};
          }) (attrNames config.files)
        )
        // etc
        // {
          "usr/share/osbuild/health.toml" = text (healthText config.health);
          "usr/share/factory/etc/passwd" = text (passwdText config.users);
          "usr/share/factory/etc/group" = text (groupText config.groups);
        };
      links = listToAttrs wanted // config.links;
      meta = licence // {
        description = "Units, files and the health contract of ${name}";
      };
    };

  commandLine = words: map (entry: entry.word) words;
in
{
  evalVariant =
    {
      name,
      module,
      pkgs,
    }:
    let
      evaluated = lib.evalModules {
        modules = [
          ../../variants/lib/options.nix
          ../../variants/lib/base.nix
          ../../variants/lib/hardening.nix
          ../../variants/lib/settings.nix
          ../../variants/lib/inspect.nix
          ../../variants/lib/updates.nix
          ../../variants/lib/host-containers.nix
          module
        ];
        arguments = { inherit pkgs name; };
      };
      inherit (evaluated) config;
      platform = lib.systems.${lib.system};

      outside = builtins.filter (check: check.kind == "lease" && check.when == "always") config.health.checks;

      # Nobody is left unconfined by mistake.
      unsaid = builtins.filter (
        unit: lib.hasSuffix ".service" unit && config.services.${unit}.sandbox == null
      ) (attrNames config.services);

      ours = config.packages ++ [ (generatedFiles { inherit name config; }) ];

      image = lib.composeImage {
        inherit name;
        packages = ours ++ [
          (lib.settingsPackage {
            inherit name;
            inherit (config.release) version;
            inherit (config.settings) declare facts templates;
            sources = config.settings.userData;
            units = map (package: "${package}/${unitDirectory}") ours;
            inherit (pkgs) render;
          })
        ];
        inherit (config)
          allow
          attributes
          directories
          formats
          ;
        links = attrValues (
          builtins.mapAttrs (path: target: { inherit path target; }) config.rootLinks
        );
        osRelease = {
          ID = config.osRelease.id;
          NAME = config.osRelease.name;
          PRETTY_NAME = "${config.osRelease.name} ${config.release.version} (${name})";
          VARIANT_ID = name;
          VERSION_ID = config.release.version;
          IMAGE_ID = name;
          IMAGE_VERSION = config.release.version;
          OSBUILD_ROLLBACK_INDEX = toString config.release.rollbackIndex;
          OSBUILD_FLOOR = toString config.release.floor;
        };
        inherit (config) interpreterBinaries;
        compression = {
          inherit (config.compression) level blockSize;
        };
        kernel =
          if config.kernel.config == { } then
            config.kernel.package
          else
            config.kernel.package.withGroups config.kernel.config;
        stub = pkgs.systemd-stub;
        inherit (pkgs) loader;
        commandLine = commandLine config.kernel.commandLine;
        release = {
          variant = name;
          arch = platform.machine;
          inherit (config.release)
            version
            rollbackIndex
            floor
            minFromIndex
            ;
          settingsSchema = config.settings.schema;
          healthFile = "usr/share/osbuild/health.toml";
          inherit (config) partitions;
        };
        dataSizeMiB = config.data.sizeMiB;
      };
    in
    assert lib.checkConfig {
      name = "variant '${name}'";
      inherit config;
    } true;
    assert lib.assertMsg (unsaid == [ ])
      "variant '${name}': services.\"${builtins.head unsaid}\" does not say what it needs: give it `sandbox = { }`, the strict base, or exceptions from that with their reasons (recipes/lib/sandbox.nix)";
    assert lib.assertMsg (outside == [ ])
      "variant '${name}': health check '${(builtins.head outside).name}' depends on the network, so it must say when = \"trial\"";
    image
    // {
      inherit config;
      inherit (evaluated) options;
      documentation = lib.documentOptions evaluated.options;
    };
}
