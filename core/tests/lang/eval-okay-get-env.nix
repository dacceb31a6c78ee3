[ (builtins.getEnv "SURELY_UNSET_VARIABLE") ]
