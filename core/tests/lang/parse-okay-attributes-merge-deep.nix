{
  a = rec {
    b = { x = 1; };
    c = { inherit (builtins) map; };
  };
  a = {
    b = rec { y = 2; inherit builtins; };
    c = { inherit (builtins) head; inherit (builtins) tail; };
    ${builtins.d}.e = 1;
  };
  a.c.p = 3;
}
