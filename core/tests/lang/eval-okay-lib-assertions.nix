# Conditions with messages, warnings included.
let
  assertMsg = pred: msg: pred || throw msg;
  warnIf = cond: msg: if cond then builtins.warn msg else x: x;
  checked = n: assert assertMsg (n > 0) "n must be positive, not ${toString n}"; n;
  seqList = builtins.foldl' (a: b: builtins.seq b a) null;
in
[
  (checked 1)
  (builtins.tryEval (checked 0))
  (warnIf true "this one is shown" 2)
  (warnIf false (throw "not built") 3)
  (builtins.tryEval (seqList [ 1 (throw "x") ]))
  (builtins.addErrorContext "while checking" (checked 4))
]
