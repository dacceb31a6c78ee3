# Messages go to standard error; values pass through.
let
  inherit (builtins) trace warn traceVerbose seq;
in
[ (trace "a" 1) (trace { a = [ 1 (throw "not evaluated") ]; } 2) (warn "b" 3) (traceVerbose (throw "not shown") 4) (seq (trace "c" 1) 5) (builtins.break 6) ]
