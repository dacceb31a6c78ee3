# Printing any value, with indentation.
let
  inherit (builtins) attrNames concatStringsSep isAttrs isBool isFloat isFunction isInt isList isPath isString map replaceStrings;
  go = indent: v:
    let
      next = indent + "  ";
      functionArgs = builtins.functionArgs v;
      shown = map (n: if functionArgs.${n} then "${n}?" else n) (attrNames functionArgs);
    in
    if isInt v then toString v
    else if isFloat v then "~${toString v}"
    else if isString v then "\"" + replaceStrings [ "\"" "\\" "\n" ] [ "\\\"" "\\\\" "\\n" ] v + "\""
    else if true == v then "true"
    else if false == v then "false"
    else if null == v then "null"
    else if isPath v then toString v
    else if isList v then (if v == [ ] then "[ ]" else "[\n" + concatStringsSep "\n" (map (x: next + go next x) v) + "\n${indent}]")
    else if isFunction v then (if shown == [ ] then "<function>" else "<function, args: {${concatStringsSep ", " shown}}>")
    else if isAttrs v then
      if v == { } then "{ }"
      else if v ? type && v.type == "derivation" then "<derivation ${v.name or "???"}>"
      else "{\n" + concatStringsSep "\n" (map (n: "${next}${n} = ${builtins.addErrorContext "while evaluating ${n}" (go next v.${n})};") (attrNames v)) + "\n${indent}}"
    else abort "unreachable";
in
go "" { a = 1; b = [ 1.5 "x\"y\n" [ ] { } ]; c = { d = null; e = x: x; f = { g, h ? 1, ... }: g; }; p = /a/b; t = true; d = derivation { name = "drv"; builder = "b"; system = "s"; }; }
