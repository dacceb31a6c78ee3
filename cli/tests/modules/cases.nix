# The module system by example. `good` holds { is; want; } by name, `bad` holds
# what must fail; the messages are in the test.
let
  lib = import ../../../recipes/lib { system = "x86_64-linux"; };
  inherit (lib)
    evalModules
    mkAfter
    mkBefore
    mkDefault
    mkEnableOption
    mkForce
    mkIf
    mkMerge
    mkOption
    mkOptionDefault
    mkOrder
    mkOverride
    types
    ;

  option =
    type: more:
    mkOption (
      {
        inherit type;
        description = "An option.";
      }
      // more
    );

  # The value of option `x` of a type after these definitions.
  value =
    type: definitions:
    (evalModules {
      modules = [ { options.x = option type { }; } ] ++ map (x: { config.x = x; }) definitions;
    }).config.x;

  config = modules: (evalModules { inherit modules; }).config;

  fits = type: value: type.check value;

  user = types.submodule (
    { name, config, ... }:
    {
      options = {
        name = option types.str { default = name; };
        home = option types.str { default = "/home/${config.name}"; };
        groups = option (types.listOf types.str) { };
      };
    }
  );

  case = is: want: { inherit is want; };
in
{
  good = {
    default = case (config [ { options.x = option types.int { default = 1; }; } ]).x 1;
    plain-over-default = case (value types.int [
      (mkDefault 1)
      2
    ]) 2;
    force = case (value types.int [
      2
      (mkForce 3)
      (mkDefault 1)
    ]) 3;
    override = case (value types.int [
      (mkForce 3)
      (mkOverride 10 4)
      (mkOptionDefault 9)
    ]) 4;
    same-twice = case (value types.str [
      "a"
      "a"
    ]) "a";
    condition = case (value types.int [
      (mkIf true 1)
      (mkIf false 2)
    ]) 1;
    condition-on-option = case (config [
      {
        options.on = mkEnableOption "it";
        options.x = option types.int { default = 0; };
      }
      ({ config, ... }: { config = mkIf config.on { x = 5; }; })
      { config.on = true; }
    ]).x 5;
    merge = case (value (types.listOf types.int) [
      (mkMerge [
        [ 1 ]
        (mkIf true [ 2 ])
        (mkIf false [ 3 ])
      ])
      [ 4 ]
    ]) [
      1
      2
      4
    ];
    nested-wrappers = case (value types.int [
      (mkIf true (mkMerge [
        (mkDefault 1)
        (mkIf true (mkForce 2))
      ]))
      3
    ]) 2;
    order = case (value (types.listOf types.str) [
      [ "middle" ]
      (mkAfter [ "last" ])
      (mkBefore [ "first" ])
      (mkOrder 1 [ "very first" ])
    ]) [
      "very first"
      "first"
      "middle"
      "last"
    ];
    order-of-lines = case (value types.lines [
      "b"
      (mkBefore "a")
    ]) "a\nb";
    whole-config = case (config [
      {
        options.a.b = option types.int { };
        options.a.c = option types.int { default = 1; };
      }
      { config = mkMerge [ (mkIf true { a = mkIf true { b = 2; }; }) (mkDefault { a.c = 7; }) ]; }
    ]) {
      a = {
        b = 2;
        c = 7;
      };
    };
    without-config = case (config [
      { options.x = option types.int { }; }
      { x = 3; }
    ]).x 3;
    imports-once = case (config [
      { imports = [ ./imported.nix ]; }
      ./imported.nix
    ]).imported [ "once" ];
    disabled = case (config [
      ./unwanted.nix
      {
        disabledModules = [ ./unwanted.nix ];
        options.plain = option types.int { default = 1; };
      }
    ]).plain 1;
    apply = case (config [
      {
        options.x = option types.str { apply = text: "<${text}>"; };
        config.x = "a";
      }
    ]).x "<a>";
    read-only = case (config [
      {
        options.x = option types.int { readOnly = true; };
        config.x = 1;
      }
    ]).x 1;
    freeform = case (config [
      {
        freeformType = types.attrsOf types.int;
        options.known = option types.str { default = "k"; };
      }
      {
        a = 1;
        known = mkForce "forced";
      }
      { b = mkIf true 2; }
    ]) {
      a = 1;
      b = 2;
      known = "forced";
    };
    arguments = case (evalModules {
      modules = [
        (
          { given, options, ... }:
          {
            options.x = option types.str { };
            config.x = given + toString (builtins.attrNames options);
          }
        )
      ];
      arguments.given = "given ";
    }).config.x "given x";
    submodule = case (value (types.attrsOf user) [
      { ada.groups = [ "wheel" ]; }
      {
        ada.groups = mkBefore [ "first" ];
        ada.home = "/ada";
        bob = { };
      }
    ]) {
      ada = {
        name = "ada";
        home = "/ada";
        groups = [
          "first"
          "wheel"
        ];
      };
      bob = {
        name = "bob";
        home = "/home/bob";
        groups = [ ];
      };
    };
    submodule-list = case (map (u: u.name) (value (types.listOf user) [ [ { name = "x"; } ] ])) [ "x" ];
    submodule-of-options = case (value (types.submodule {
      a = option types.int { default = 1; };
      b = option types.int { };
    }) [ { b = 2; } ]) {
      a = 1;
      b = 2;
    };
    conditional-members = case (value (types.attrsOf types.int) [
      {
        a = 1;
        b = mkIf false 2;
        c = mkDefault 3;
      }
      { c = 4; }
    ]) {
      a = 1;
      c = 4;
    };
    lazy-members = case (
      builtins.attrNames (value (types.lazyAttrsOf types.int) [ { b = mkIf false 2; } ])
    ) [ "b" ];
    null-or = case [
      (value (types.nullOr types.int) [ null ])
      (value (types.nullOr types.int) [ 1 ])
      (value (types.nullOr types.int) [ ])
    ] [
      null
      1
      null
    ];
    one-of = case [
      (value (types.oneOf [ types.int types.str (types.listOf types.int) ]) [ "s" ])
      (value (types.oneOf [ types.int types.str (types.listOf types.int) ]) [ [ 1 ] [ 2 ] ])
    ] [
      "s"
      [
        1
        2
      ]
    ];
    coerced = case (value (types.coercedTo types.int toString types.str) [ 5 ]) "5";
    function = case ((value (types.functionTo (types.listOf types.int)) [
      (x: [ x ])
      (x: [ (x + 1) ])
    ]) 1) [
      1
      2
    ];
    anything = case (value types.anything [
      { a.b = 1; }
      { a.c = [ 2 ]; }
    ]) {
      a.b = 1;
      a.c = [ 2 ];
    };
    raw-function = case ((value types.raw [ (x: x) ]) 1) 1;
    attrs = case (value types.attrs [ { a = 1; } { b = 2; } ]) {
      a = 1;
      b = 2;
    };
    checks = case {
      between = map (fits (types.ints.between 1 3)) [ 0 1 3 4 "1" ];
      u8 = map (fits types.ints.u8) [ (-1) 0 255 256 ];
      port = map (fits types.port) [ 0 65535 65536 ];
      float = map (fits types.float) [ 1 1.5 ];
      number = map (fits types.number) [ 1 1.5 "1" ];
      str = map (fits types.str) [ "" 1 ./. ];
      nonEmptyStr = map (fits types.nonEmptyStr) [ "" " " "a" ];
      singleLineStr = map (fits types.singleLineStr) [ "a" "a\nb" ];
      strMatching = map (fits (types.strMatching "[a-z]+")) [ "abc" "a1" ];
      path = map (fits types.path) [ ./. "/a" "a" 1 ];
      absolutePath = map (fits types.absolutePath) [ ./. "/a" "a" ];
      enum = map (fits (types.enum [ "a" 1 ])) [ "a" 1 2 ];
      added = map (fits (types.addCheck types.int (x: x > 3))) [ 3 4 "4" ];
      nonEmptyList = map (fits (types.nonEmptyListOf types.int)) [ [ ] [ 1 ] ];
    } {
      between = [ false true true false false ];
      u8 = [ false true true false ];
      port = [ true true false ];
      float = [ false true ];
      number = [ true true false ];
      str = [ true false false ];
      nonEmptyStr = [ false false true ];
      singleLineStr = [ true false ];
      strMatching = [ true false ];
      path = [ true true true false ];
      absolutePath = [ true true false ];
      enum = [ true true false ];
      added = [ false true false ];
      nonEmptyList = [ false true ];
    };
    separated = case [
      (value types.commas [ "a" "b" ])
      (value (types.separatedString ":") [ "a" (mkBefore "b") ])
    ] [
      "a,b"
      "b:a"
    ];
    documentation = case (map (entry: { inherit (entry) path type default; }) (
      lib.documentOptions (evalModules {
        modules = [
          {
            options.users = option (types.attrsOf user) { default = { }; };
            options.hidden = option types.int { internal = true; };
          }
        ];
      }).options
    )) [
      {
        path = "users";
        type = "a set, each a set with the options groups, home, name";
        default = "{ }";
      }
      {
        path = "users.<name>.groups";
        type = "a list, each a string";
        default = null;
      }
      {
        path = "users.<name>.home";
        type = "a string";
        default = ''"/home/<name>"'';
      }
      {
        path = "users.<name>.name";
        type = "a string";
        default = ''"<name>"'';
      }
    ];
    assertions-hold = case (lib.checkConfig {
      name = "it";
      config.assertions = [
        {
          holds = true;
          message = "no";
        }
        {
          assertion = true;
          message = "no";
        }
      ];
    } 1) 1;
  };

  bad = {
    wrong-type = value types.int [ "one" ];
    conflict = value types.int [
      1
      2
    ];
    unset = value types.int [ ];
    unknown = config [
      { options.services.health = option types.int { default = 1; }; }
      { services.heatlh = 2; }
    ];
    group = config [
      { options.services.health = option types.int { default = 1; }; }
      { services = 2; }
    ];
    declared-twice = config [
      { options.x = option types.int { }; }
      { options.x = option types.int { }; }
    ];
    read-only = config [
      {
        options.x = option types.int {
          readOnly = true;
          default = 1;
        };
      }
      { x = 2; }
    ];
    in-submodule = (value (types.attrsOf user) [ { ada.hom = "/"; } ]).ada.home;
    in-list = value (types.listOf types.int) [
      [
        1
        "two"
      ]
    ];
    enum = value (types.enum [
      "a"
      "b"
    ]) [ "c" ];
    range = value types.ints.u8 [ 256 ];
    condition = value types.int [ (mkIf "yes" 1) ];
    stray = config [
      {
        options.x = option types.int { };
        x = 1;
      }
    ];
    argument = config [ ({ nothing, ... }: { }) ];
    not-a-module = config [ 1 ];
    not-an-option = config [ { options.x = 1; } ];
    assertions = lib.checkConfig {
      name = "it";
      config.assertions = [
        {
          holds = false;
          message = "first reason";
        }
        {
          assertion = false;
          message = "second reason";
        }
      ];
    } 1;
  };
}
