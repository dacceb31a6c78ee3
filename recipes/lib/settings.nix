# Types of what may be set on a node, in the form in which its agents read
# them (recipes/agents/schema), and what an image carries of its settings.
lib: {
  settingTypes = rec {
    bool = {
      kind = "bool";
    };
    # Both bounds are allowed values.
    integer = min: max: {
      kind = "integer";
      inherit min max;
    };
    port = integer 1 65535;
    # One of the formats of recipes/agents/schema/src/format.rs.
    text = format: {
      kind = "text";
      inherit format;
    };
    # Files and the like: as many bytes as are said.
    longText = format: maxBytes: text format // { inherit maxBytes; };
    choice = of: {
      kind = "choice";
      inherit of;
    };
    list = of: {
      kind = "list";
      inherit of;
      unique = true;
    };
    # By names that users choose, of this format.
    map = keys: of: {
      kind = "map";
      inherit keys of;
    };
    record = fields: {
      kind = "record";
      inherit fields;
    };
    # Options of another program, passed on.
    table = {
      kind = "table";
    };
    # Whatever another program understands.
    any = {
      kind = "any";
    };
  };

  # The schema, the templates and the sources of user data of an image; made
  # only if every template gives a file that can be read for everything that
  # may be set, and names units that the image has.
  settingsPackage =
    {
      name,
      version,
      # Settings by name: { type; default; secret; description; }.
      declare,
      # Templates by name: their files.
      templates,
      # Examples of what is found out about a node, by name.
      facts,
      # Where user data is looked for, in this order.
      sources,
      # Directories of units, whether they are there or not.
      units,
      render,
    }:
    let
      setting =
        one:
        {
          inherit (one) type description;
        }
        // lib.filterAttrs (_: value: value != null) { inherit (one) default; }
        // lib.filterAttrs (_: value: value) { inherit (one) secret; };
      names = builtins.attrNames templates;
    in
    lib.mkDerivation {
      pname = "${name}-settings";
      inherit version;
      sdk = lib.sdk.c;
      env = {
        schema = builtins.toJSON {
          schema = 1;
          settings = builtins.mapAttrs (_: setting) declare;
        };
        facts = builtins.toJSON facts;
        sources = builtins.toJSON {
          schema = 1;
          inherit sources;
        };
        inherit units;
        templateNames = names;
        templateFiles = map (template: templates.${template}) names;
        passAsFile = [
          "schema"
          "facts"
          "sources"
        ];
      };
      buildPhase = ''
        mkdir templates
        read -ra names <<< "$templateNames"
        index=0
        for file in $templateFiles; do
          cp "$file" "templates/''${names[index]}"
          index=$((index + 1))
        done
      '';
      checkPhase = ''
        ${render}/usr/lib/osbuild/render test "$schemaPath" templates "$factsPath" $units
      '';
      installPhase = ''
        install -D -m 0644 "$schemaPath" "$out/usr/share/osbuild/settings/schema.json"
        install -D -m 0644 "$sourcesPath" "$out/usr/share/osbuild/firstboot.json"
        mkdir -p "$out/usr/share/osbuild/templates"
        for name in $templateNames; do
          install -m 0644 "templates/$name" "$out/usr/share/osbuild/templates/$name"
        done
      '';
      meta = {
        license = "MIT OR Apache-2.0";
        homepage = null;
        description = "What may be set on ${name}, and the files that follow from it";
      };
    };
}
