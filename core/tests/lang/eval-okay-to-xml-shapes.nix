# Every kind of value as XML.
builtins.toXML {
  list = [ 1 1.5 "a<b>&\"c'\n\r\t" true null /p ];
  f = x: x;
  g = { a, b ? 1 }: a;
  h = { a, ... }@all: a;
  i = all@{ ... }: 1;
  p = builtins.add;
  q = builtins.add 1;
  empty = { };
  none = [ ];
  drv = { type = "derivation"; name = "x"; };
}
