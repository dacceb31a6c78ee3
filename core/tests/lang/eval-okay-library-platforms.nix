# Platform triples, parsed into records of types that know what they are, and
# predicates that are patterns over them.
let
  inherit (builtins) all any attrNames attrValues concatMap concatStringsSep elem elemAt filter foldl' head intersectAttrs isAttrs isList isString length listToAttrs map mapAttrs match split stringLength substring;
  setType = name: value: value // { _type = name; };
  isType = name: value: (value._type or "") == name;
  kinds = name: mapAttrs (n: v: assert !(v ? name); setType name ({ name = n; } // v));
  significance = kinds "endian" { big = { }; little = { }; };
  cpus = with significance; kinds "cpu" {
    arm = { bits = 32; endian = little; family = "arm"; };
    armv7l = { bits = 32; endian = little; family = "arm"; version = "7"; arch = "armv7-a"; };
    aarch64 = { bits = 64; endian = little; family = "arm"; version = "8"; };
    i686 = { bits = 32; endian = little; family = "x86"; arch = "i686"; };
    x86_64 = { bits = 64; endian = little; family = "x86"; arch = "x86-64"; };
    powerpc64 = { bits = 64; endian = big; family = "power"; };
    powerpc64le = { bits = 64; endian = little; family = "power"; };
    riscv64 = { bits = 64; endian = little; family = "riscv"; };
    wasm32 = { bits = 32; endian = little; family = "wasm"; };
  };
  vendors = kinds "vendor" { unknown = { }; pc = { }; apple = { }; w64 = { }; none = { }; };
  formats = kinds "format" { elf = { }; macho = { }; pe = { }; wasm = { }; unknown = { }; };
  families = kinds "family" { bsd = { }; darwin = { }; };
  kernels = with formats; with families; kinds "kernel" {
    linux = { format = elf; families = { }; };
    darwin = { format = macho; families = { inherit darwin; }; };
    freebsd = { format = elf; families = { inherit bsd; }; };
    windows = { format = pe; families = { }; };
    wasi = { format = wasm; families = { }; };
    none = { format = unknown; families = { }; };
  } // { macos = kernels.darwin; win32 = kernels.windows; };
  abis = kinds "abi" {
    gnu = { assertions = [ { assertion = p: !(p.cpu.family == "arm" && p.cpu.bits == 32); message = "the \"gnu\" ABI is ambiguous on 32-bit ARM"; } ]; };
    musl = { };
    gnueabihf = { float = "hard"; };
    musleabi = { float = "soft"; };
    eabi = { float = "soft"; };
    msvc = { };
    unknown = { };
  };
  mkSystem = parts:
    assert isType "cpu" parts.cpu && isType "vendor" parts.vendor && isType "kernel" parts.kernel && isType "abi" parts.abi;
    setType "system" parts;
  parseKernel = text: let m = match "([a-z]+)([0-9.]*)" text; in if m == null then null else { name = head m; version = elemAt m 1; };
  skeleton = l: {
    "1" = if elemAt l 0 == "avr" then { cpu = "arm"; kernel = "none"; abi = "unknown"; } else throw "system `${elemAt l 0}' has one component";
    "2" =
      if elemAt l 1 == "windows" then { cpu = elemAt l 0; kernel = "windows"; abi = "msvc"; }
      else { cpu = elemAt l 0; kernel = elemAt l 1; };
    "3" =
      if elem (elemAt l 2) [ "gnu" "musl" "gnueabihf" "eabi" ] && elemAt l 1 != "none" then { cpu = elemAt l 0; kernel = elemAt l 1; abi = elemAt l 2; vendor = "unknown"; }
      else if elemAt l 1 == "none" then { cpu = elemAt l 0; vendor = "none"; kernel = "none"; abi = elemAt l 2; }
      else { cpu = elemAt l 0; vendor = elemAt l 1; kernel = elemAt l 2; };
    "4" = { cpu = elemAt l 0; vendor = elemAt l 1; kernel = elemAt l 2; abi = elemAt l 3; };
  }.${toString (length l)} or (throw "a system has one to four parts");
  fill = { cpu, vendor ? assert false; null, kernel, abi ? assert false; null }@given:
    let
      get = what: table: name: table.${name} or (throw "unknown ${what} `${name}'");
      k = parseKernel kernel;
      parsed = {
        cpu = get "cpu" cpus cpu;
        vendor =
          if given ? vendor then get "vendor" vendors vendor
          else if kernel == "darwin" then vendors.apple
          else if kernel == "windows" then vendors.pc
          else vendors.unknown;
        kernel = get "kernel" kernels (if k == null then kernel else k.name);
        abi =
          if given ? abi then get "abi" abis abi
          else if k.name or "" == "linux" then (if parsed.cpu.family == "arm" && parsed.cpu.bits == 32 then abis.gnueabihf else abis.gnu)
          else abis.unknown;
      } // (if (k.version or "") != "" then { inherit (k) version; } else { });
      failing = filter (a: !a.assertion parsed) (parsed.abi.assertions or [ ]);
    in
    if failing != [ ] then throw (head failing).message else mkSystem parsed;
  parse = text: fill (skeleton (filter isString (split "-" text)));
  double = s: "${s.cpu.name}-${s.kernel.name}";
  triple = { cpu, vendor, kernel, abi, ... }: "${cpu.name}-${vendor.name}-${kernel.name}${if abi.name == "unknown" then "" else "-${abi.name}"}";
  # A pattern matches where all its leaves are found.
  matches = pattern: value:
    if isList pattern then any (p: matches p value) pattern
    else if isAttrs pattern then isAttrs value && all (n: value ? ${n} && matches pattern.${n} value.${n}) (attrNames pattern)
    else pattern == value;
  patterns = rec {
    isi686 = { cpu = cpus.i686; };
    isx86 = { cpu.family = "x86"; };
    isArm = { cpu.family = "arm"; };
    isArm32 = { cpu = { family = "arm"; bits = 32; }; };
    is64bit = { cpu.bits = 64; };
    isBigEndian = { cpu.endian = significance.big; };
    isLinux = { kernel = kernels.linux; };
    isBSD = { kernel.families = { inherit (families) bsd; }; };
    isDarwin.kernel.families.darwin.name = "darwin";
    isUnix = [ isBSD isDarwin isLinux ];
    isMusl = with abis; map (abi: { inherit abi; }) [ musl musleabi ];
    isGnu = map (abi: { abi = abis.${abi}; }) (filter (n: match "gnu.*" n != null) (attrNames abis));
    isElf = { kernel.format = formats.elf; };
  };
  predicates = mapAttrs (_: matches) patterns;
  elaborate = given:
    let
      base = if isString given then { system = given; } else given;
      final = {
        parsed = parse final.system;
        config = triple final.parsed;
        isStatic = final.isWindows or false;
        canExecute = other: final.parsed.kernel == other.parsed.kernel && (final.parsed.cpu == other.parsed.cpu || (final.isx86 && final.is64bit && other.isx86));
        extensions = { library = if final.isDarwin then ".dylib" else ".so"; executable = ""; } // (if final.isStatic then { library = ".a"; } else { });
        __toString = self: self.config;
      } // mapAttrs (_: p: p final.parsed) predicates // base;
    in
    final;
  systems = [ "x86_64-linux" "aarch64-darwin" "i686-freebsd13.1" "armv7l-linux-musl" "powerpc64-unknown-linux-gnu" "riscv64-none-eabi" "x86_64-windows" "wasm32-wasi" "armv7l-linux" "x86_64-apple-macos" ];
  show = s: let e = elaborate s; in {
    name = "${e}";
    double = double e.parsed;
    is = filter (n: e.${n}) (attrNames predicates);
    version = e.parsed.version or null;
    inherit (e.extensions) library;
  };
  sets = mapAttrs (name: p: filter (s: p (parse s)) systems) predicates;
  native = elaborate "x86_64-linux";
in
{
  shown = map show systems;
  inherit sets;
  runs = map (s: native.canExecute (elaborate s)) (systems ++ [ "i686-linux" ]);
  overridden = (elaborate { system = "x86_64-linux"; isStatic = true; config = "mine"; }).extensions.library + toString (elaborate { system = "i686-linux"; config = "mine"; });
  wrong = map (s: (builtins.tryEval (parse s)).success) [ "arm-linux-gnu" "x" "a-b-c-d-e" "x86_64-plan9" "x86_64-linux-other" "" ];
  same = native.parsed == parse "x86_64-unknown-linux-gnu";
  lazy = fill { cpu = "x86_64"; kernel = "linux"; } == parse "x86_64-linux";
  types = map (k: isType "kernel" kernels.${k}) (attrNames kernels) ++ [ (isType "cpu" kernels.linux) ];
}
