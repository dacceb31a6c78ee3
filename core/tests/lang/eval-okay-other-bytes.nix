# café ÿ
[ (builtins.stringLength "caféÿ") "é" ''
  Ã ÿ
'' ({ "é" = 1; }.${"é"}) ]
