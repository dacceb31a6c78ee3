# Functions as data: arguments told, set and mirrored, functors, fixed points,
# lazy recursion, memoised tables, and a pipeline of values that show themselves.
let
  inherit (builtins) attrNames attrValues concatStringsSep elemAt foldl' functionArgs genList head intersectAttrs isAttrs isFunction length listToAttrs map mapAttrs removeAttrs tail tryEval typeOf unsafeGetAttrPos;
  fix = f: let x = f x; in x;
  fixWithUnfix = f: let x = f x // { __unfix__ = f; }; in x;
  converge = f: x: let next = f x; in if next == x then x else converge f next;
  extends = overlay: rattrs: final: let prev = rattrs final; in prev // overlay final prev;
  composeExtensions = f: g: final: prev: let one = f final prev; in one // g final (prev // one);
  composeMany = list: if list == [ ] then (_: _: { }) else foldl' composeExtensions (head list) (tail list);
  toExtension = f: if isFunction f then (final: prev: let once = f prev; in if isFunction once then f final prev else once) else (_: _: f);
  makeExtensibleName = name: rattrs: fix (self: rattrs self // { ${name} = f: makeExtensibleName name (extends (toExtension f) rattrs); });
  setFunctionArgs = f: args: { __functor = self: f; __functionArgs = args; };
  argsOf = f: if f ? __functor then f.__functionArgs or (argsOf (f.__functor f)) else functionArgs f;
  isCallable = f: isFunction f || (f ? __functor && isCallable (f.__functor f));
  toFunction = v: if isCallable v then v else _: v;
  mirror = from: f: let args = argsOf from; in if args == { } then f else setFunctionArgs f args;
  callWith = auto: f: args:
    let wanted = argsOf f; in f (intersectAttrs wanted auto // args);
  makeOverridable = f: mirror f (args:
    let
      result = f args;
      overrideWith = new: args // (toFunction new) args;
    in
    result // { override = mirror f (new: makeOverridable f (overrideWith new)); arguments = args; });
  newScope = extra: rec {
    callPackage = callWith (self // extra);
    self = { inherit callPackage; };
  };
  makeScope = new: f:
    let
      self = f self // {
        newScope = scope: new (self // scope);
        callPackage = self.newScope { };
        overrideScope = g: makeScope new (extends g f);
        packages = f;
      };
    in
    self;
  package = { name, version ? "1", suffix ? "", ... }@given: { full = "${name}-${version}${suffix}"; given = attrNames given; };
  wrapped = makeOverridable package;
  a = wrapped { name = "a"; };
  b = a.override { version = "2"; };
  c = b.override (old: { suffix = "+${old.version}"; });
  functor = { count = 1; __functor = self: n: if n == 0 then self.count else (self // { count = self.count * n; }) (n - 1); };
  curried = { __functor = _: { __functor = _: x: x + 1; }; };
  table = f: keys: let t = listToAttrs (map (k: { name = toString k; value = f (k: t.${toString k}) k; }) keys); in t;
  fib = table (self: n: if n < 2 then n else self (n - 1) + self (n - 2)) (genList (n: n) 60);
  ackermann = m: n: if m == 0 then n + 1 else if n == 0 then ackermann (m - 1) 1 else ackermann (m - 1) (ackermann m (n - 1));
  church = rec { zero = f: x: x; succ = n: f: x: f (n f x); plus = a: b: f: x: a f (b f x); times = a: b: f: a (b f); number = n: n (x: x + 1) 0; };
  y = f: (x: f (v: x x v)) (x: f (v: x x v));
  money = amount: { inherit amount; __toString = self: "${toString (self.amount / 100)}.${if lib.mod self.amount 100 < 10 then "0" else ""}${toString (lib.mod self.amount 100)}"; __functor = self: more: money (self.amount + more); };
  lib = makeExtensibleName "extend" (final: { mod = a: b: a - b * (a / b); even = n: final.mod n 2 == 0; name = "lib"; });
  lib2 = lib.extend (final: prev: { odd = n: !final.even n; name = "${prev.name}2"; });
  scope = makeScope (scope: callWith ({ base = "b"; } // scope)) (self: {
    one = self.callPackage ({ base }: "one-${base}") { };
    two = self.callPackage ({ one, base, extra ? "-" }: "two(${one},${base}${extra})") { extra = "!"; };
    three = self.newScope { base = "other"; } ({ base, two }: "${base}:${two}") { };
  });
  overlaid = scope.overrideScope (final: prev: { one = "new-${prev.one}"; four = final.two; });
  at = set: n: let p = unsafeGetAttrPos n set; in if p == null then null else p.column;
in
{
  args = map argsOf [ package a.override wrapped (setFunctionArgs (x: x) { q = true; }) functor curried ({ a, b ? 1 }: a) (x: x) (args@{ ... }: args) builtins.map (builtins.add 1) ];
  callable = map isCallable [ (x: x) functor curried { } 1 builtins.add ];
  full = map (p: p.full) [ a b c (c.override { name = "z"; }) ];
  given = [ c.given c.arguments ];
  functors = [ (functor 5) (curried 1) (toFunction 3 4) (toFunction functor 0) (map curried [ 1 2 ]) ];
  money = [ "${money 1205}" (toString (money 5 7)) ((money 99) 1).amount (concatStringsSep ", " (map money [ 100 250 ])) ];
  numbers = [ fib."59" (ackermann 2 3) (church.number (church.times (church.plus (church.succ church.zero) (church.succ church.zero)) (church.succ (church.succ (church.succ church.zero))))) (y (self: n: if n == 0 then 1 else n * self (n - 1)) 10) ];
  lib = [ lib.name lib2.name (lib2.odd 3) ((lib2.extend { name = "set"; }).name) ((lib2.extend (prev: { name = prev.name + "p"; })).name) ];
  composed = [ (fix (extends (composeMany [ (f: p: { x = p.x + 1; }) (f: p: { x = p.x * 10; y = f.x; }) (f: p: { z = f.y; }) ]) (_: { x = 1; }))) (composeMany [ ] 1 2) ];
  unfix = (fixWithUnfix (self: { a = 1; b = self.a; })).__unfix__ { a = 5; };
  converged = [ (converge (x: x / 2) 16) (converge (s: if builtins.stringLength s > 8 then s else s + s) "ab") ];
  scope = map (s: { inherit (s) one two three; four = s.four or null; }) [ scope overlaid ];
  positions = [ (at (functionArgs package) "version" - at (functionArgs package) "name") (at (argsOf a.override) "name" == at (functionArgs package) "name") ];
  missing = tryEval (callWith { } ({ x ? throw "default" }: x) { });
  types = map typeOf [ functor package a.override (package { name = "n"; }) ];
}
