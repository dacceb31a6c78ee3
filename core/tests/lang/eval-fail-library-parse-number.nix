# A parser of expressions, which stops at the first token that does not fit.
let
  inherit (builtins) addErrorContext concatMap elemAt filter fromJSON head isList isString length map match split stringLength substring tail;
  tokens = text: concatMap (part:
    if isList part then [ (head part) ]
    else if match "[[:space:]]*" part != null then [ ]
    else throw "no token: `${part}'") (split "([0-9]+(\\.[0-9]+)?|[-+*/()])" text);
  isNumber = t: match "[0-9]+(\\.[0-9]+)?" t != null;
  peek = state: if state == [ ] then null else head state;
  result = value: rest: { inherit value rest; };
  primary = state:
    let t = peek state; in
    if t == null then throw "the text ends where a value should be"
    else if t == "(" then
      let inner = sum (tail state); in
      if peek inner.rest == ")" then result inner.value (tail inner.rest) else throw "`)' is missing before `${toString (peek inner.rest)}'"
    else if t == "-" then let inner = primary (tail state); in result (-inner.value) inner.rest
    else if isNumber t then result (fromJSON t) (tail state)
    else throw "`${t}' is no value";
  chain = operators: next: state:
    let
      go = left:
        let t = peek left.rest; in
        if t != null && operators ? ${t} then
          let right = next (tail left.rest); in
          go (result (addErrorContext "while computing ${toString left.value} ${t} ${toString right.value}" (operators.${t} left.value right.value)) right.rest)
        else left;
    in
    go (next state);
  product = chain { "*" = a: b: a * b; "/" = a: b: a / b; } primary;
  sum = chain { "+" = a: b: a + b; "-" = a: b: a - b; } product;
  parse = text:
    let end = sum (tokens text); in
    if end.rest == [ ] then end.value else throw "`${head end.rest}' follows a whole expression";
  fails = text: !(builtins.tryEval (parse text)).success;
in
assert map parse [ "1 + 2 * 3" "(1+2)*3" "-4/2 - -1" "7/2" "7/2.0" "2*(3-(4-5))" ] == [ 7 9 (-1) 3 3.5 8 ];
assert builtins.all fails [ "1 +" "(1" "1 2" "x" "" "*" ];
parse "1 + 9223372036854775807 * (8 / 2)"
