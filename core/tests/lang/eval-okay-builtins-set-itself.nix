# `builtins` is a value like others.
[ (builtins ? builtins) (builtins.builtins ? add) (builtins.isAttrs builtins) (builtins.langVersion) (builtins.nixVersion or "" != "") (builtins.storeDir) (builtins.typeOf builtins.currentTime) (builtins.true && ! builtins.false) builtins.null (builtins.nixPath == [ ] || true) ]
