# Breadth first, the first of equal keys stays.
builtins.genericClosure {
  startSet = [ { key = "a"; from = 0; } { key = "b"; from = 0; } { key = "a"; from = 1; } ];
  operator = item: if builtins.stringLength item.key < 3 then [ { key = item.key + "x"; from = item.key; } { key = "b"; from = item.key; } ] else [ ];
}
