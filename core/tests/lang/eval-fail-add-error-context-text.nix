builtins.addErrorContext (throw "not asked for") (throw "cause")
