# Versions as package sets compare them.
let
  inherit (builtins) compareVersions splitVersion head elemAt parseDrvName concatStringsSep genList length;
  older = a: b: compareVersions a b == -1;
  major = v: elemAt (splitVersion v) 0;
  majorMinor = v: concatStringsSep "." (genList (elemAt (splitVersion v)) (if length (splitVersion v) < 2 then length (splitVersion v) else 2));
  pairs = [
    [ "1.0" "1.0.0" ] [ "1.0" "1.0pre" ] [ "1.0pre1" "1.0pre2" ] [ "2.3a" "2.3b" ] [ "2.3.1" "2.3a" ] [ "2.3.1" "2.3q" ]
    [ "10" "9" ] [ "1.0-rc1" "1.0" ] [ "" "1" ] [ "a" "" ] [ "1.2.3-4" "1.2.3.4" ] [ "0.9a" "0.9.0" ] [ "01" "1" ] [ "1_2" "1.2" ] [ "1.2+x" "1.2" ]
  ];
in
{
  compared = map (p: compareVersions (head p) (elemAt p 1)) pairs;
  reversed = map (p: compareVersions (elemAt p 1) (head p)) pairs;
  split = map splitVersion [ "1.2.3" "1.2pre3" "2023-01-02" "1..2" ".1" "" "abc1def" "1.2-rc1+x86" ];
  names = map parseDrvName [ "hello-1.2" "hello" "a-b-c-1.0pre" "x-1-2" "nix-0.12pre12876" "a-é" "-" "foo-" "-1.0" "a--b" "python3.9-foo-1.0-dev" ];
  majors = map major [ "1.2" "10" ];
  minors = map majorMinor [ "1.2.3" "4" ];
  sorted = builtins.sort older [ "1.10" "1.9" "1.9pre" "1.9.1" "2" "0" ];
}
