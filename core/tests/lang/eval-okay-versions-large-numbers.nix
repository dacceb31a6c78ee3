# A component is a number if it fits 32 bits, and text otherwise.
let
  large = [ "2147483647" "2147483648" "4294967296" "9223372036854775808" "20261126170000" "0000000000000000007" ];
in
{
  text = map (v: builtins.compareVersions v "z") large;
  number = map (v: builtins.compareVersions v "5") large;
  pre = map (v: builtins.compareVersions v "pre") large;
  each = map (a: map (b: builtins.compareVersions "1.${a}" "1.${b}") large) large;
  sorted = builtins.sort (a: b: builtins.compareVersions a b < 0) [ "1.20261126170000" "1.3" "1.a" "1.20251126170000" ];
}
