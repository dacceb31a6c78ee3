# The options of modules as data, for pages about them: one entry an option,
# those inside sets and lists behind the one that holds them.
lib:
let
  inherit (builtins)
    attrNames
    concatMap
    ;

  # A default or example as one would write it, if it is short.
  written =
    value:
    let
      inherit (builtins)
        isAttrs
        isFunction
        isList
        ;
    in
    if isList value then
      if value == [ ] then "[ ]" else "[ ${builtins.concatStringsSep " " (map written value)} ]"
    else if isAttrs value && value ? pname then
      "pkgs.${value.pname}"
    else if isAttrs value then
      let
        member = name: "${name} = ${written value.${name}};";
      in
      if value == { } then "{ }" else "{ ${builtins.concatStringsSep " " (map member (attrNames value))} }"
    else if isFunction value then
      "<function>"
    else
      lib.types.show value;

  entries =
    path: options:
    concatMap (
      name:
      let
        here = path ++ [ name ];
        option = options.${name};
        inherit (option) type;
      in
      if !(lib.isOption option) then
        entries here option
      else if option.internal or false then
        [ ]
      else
        [
          {
            path = lib.showPath here;
            type = type.description;
            inherit (option) description;
            default = if option ? default then option.defaultText or (written option.default) else null;
            example = if option ? example then written option.example else null;
            readOnly = option.readOnly or false;
            declared = option.declared or null;
          }
        ]
        ++ (if type ? nested then entries (here ++ type.nested.path) type.nested.options else [ ])
    ) (attrNames options);
in
{
  documentOptions = entries [ ];
}
