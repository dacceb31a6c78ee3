# Tests as data: each is an expression and what it should be; failures are thrown.
let
  inherit (builtins) addErrorContext attrNames concatMap concatStringsSep deepSeq filter isString length listToAttrs map mapAttrs match toJSON tryEval;
  runTests = tests: concatMap (name:
    let
      t = tests.${name};
      failing = tryEval (deepSeq t.expr t.expr);
      result = if t ? expectedError then { inherit (failing) success; } else failing;
      expected = if t ? expectedError then { success = false; } else { success = true; value = t.expected; };
    in
    if match "test.*" name == null || addErrorContext "while comparing `${name}':" (result == expected) then [ ]
    else [ { inherit name; inherit (failing) success; expected = t.expected or null; result = if failing.success then failing.value else null; } ])
    (attrNames tests);
  report = failures:
    if failures == [ ] then "all fine"
    else throw "${toString (length failures)} tests failed:\n${concatStringsSep "\n" (map (f: "- ${f.name}: expected ${toJSON f.expected}, result ${if f.success then toJSON f.result else "an error"}") failures)}";
  mod = a: b: a - b * (a / b);
  good = {
    testMod = { expr = map (n: mod n 3) [ 0 1 2 3 (-4) ]; expected = [ 0 1 2 0 (-1) ]; };
    testThrow = { expr = throw "as wanted"; expectedError = true; };
    testAssert = { expr = { a.b = assert 1 == 2; 3; }; expectedError = true; };
    helper = throw "not a test";
    testFloat = { expr = 0.1 + 0.2; expected = 0.30000000000000004; };
    testFunctions = { expr = let f = x: x; in { inherit f; } == { inherit f; }; expected = true; };
  };
  bad = good // {
    testSum = { expr = 1 + 1; expected = 3; };
    testDeep = { expr = { a = [ 1 { b = throw "deep"; } ]; }; expected = { a = [ 1 { b = 2; } ]; }; };
    testNull = { expr = null; expected = { }; };
  };
in
assert report (runTests good) == "all fine";
report (runTests bad)
