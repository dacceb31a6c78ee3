builtins.fromTOML ''"\x41" = 1''
