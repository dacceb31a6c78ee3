# Numbers of all kinds: calendars, durations, sizes, colours, bits, rationals, sums.
let
  inherit (builtins) add bitAnd bitOr bitXor ceil concatStringsSep div elemAt filter floor foldl' fromJSON genList head isInt isList isString length lessThan map mapAttrs match mul replaceStrings split stringLength sub substring tail toJSON tryEval;
  mod = a: b: a - b * floorDiv a b;
  floorDiv = a: b: let q = a / b; in if q * b != a && (a < 0) != (b < 0) then q - 1 else q;
  abs = n: if n < 0 then -n else n;
  min = a: b: if a < b then a else b;
  range = a: b: genList (n: a + n) (if b < a then 0 else b - a + 1);
  pad = n: v: let s = toString v; in concatStringsSep "" (genList (_: "0") (n - stringLength s)) + s;
  number = s: fromJSON (head (match "0*([0-9]+)" s));
  # Days since 1970 to a civil date and back, in eras of 400 years.
  civil = days:
    let
      z = days + 719468;
      era = floorDiv z 146097;
      doe = z - era * 146097;
      yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
      doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
      mp = (5 * doy + 2) / 153;
      month = if mp < 10 then mp + 3 else mp - 9;
    in
    { year = yoe + era * 400 + (if month <= 2 then 1 else 0); inherit month; day = doy - (153 * mp + 2) / 5 + 1; };
  days = { year, month, day }:
    let
      y = if month <= 2 then year - 1 else year;
      era = floorDiv y 400;
      yoe = y - era * 400;
      doy = (153 * (if month > 2 then month - 3 else month + 9) + 2) / 5 + day - 1;
    in
    era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
  stamp = seconds:
    let d = civil (floorDiv seconds 86400); s = mod seconds 86400; in
    "${pad 4 d.year}-${pad 2 d.month}-${pad 2 d.day}T${pad 2 (s / 3600)}:${pad 2 (mod (s / 60) 60)}:${pad 2 (mod s 60)}Z";
  parseStamp = text:
    let p = map number (match "([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z" text); at = elemAt p; in
    days { year = at 0; month = at 1; day = at 2; } * 86400 + at 3 * 3600 + at 4 * 60 + at 5;
  weekday = d: elemAt [ "Thu" "Fri" "Sat" "Sun" "Mon" "Tue" "Wed" ] (mod d 7);
  duration = text: foldl' (sum: p: sum + (if isList p then number (head p) * { w = 604800; d = 86400; h = 3600; m = 60; s = 1; }.${elemAt p 1} else if p == "" || p == " " then 0 else throw "bad duration `${text}'")) 0 (split "([0-9]+)([wdhms])" text);
  human = n: let go = n: units: if abs n < 1024 || tail units == [ ] then "${toString n}${head units}" else go (n / 1024) (tail units); in go n [ "B" "K" "M" "G" "T" ];
  hex = n: let d = elemAt (genList (i: substring i 1 "0123456789abcdef") 16); in if n < 16 then d n else hex (n / 16) + d (bitAnd n 15);
  fromHex = s: foldl' (acc: i: acc * 16 + (let d = foldl' (f: j: if substring j 1 "0123456789abcdef" == substring i 1 s then j else f) null (range 0 15); in if d == null then throw "bad digit" else d)) 0 (range 0 (stringLength s - 1));
  colour = text: let m = match "#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})" text; in map fromHex m;
  mix = f: a: b: "#" + concatStringsSep "" (genList (n: let x = hex (floor (elemAt (colour a) n * (1.0 - f) + elemAt (colour b) n * f + 0.5)); in pad 2 x) 3);
  bits = n: if n == 0 then 0 else 1 + bits (bitAnd n (n - 1));
  shift = n: k: if k == 0 then n else shift (n * 2) (k - 1);
  xorshift = s: let a = bitAnd (bitXor s (shift s 7)) 65535; b = bitXor a (a / 512); in bitAnd (bitXor b (shift b 8)) 65535;
  gcd = a: b: if b == 0 then abs a else gcd b (a - b * (a / b));
  rational = n: d: let g = gcd n d; s = if d < 0 then -1 else 1; in { n = s * n / g; d = s * d / g; __toString = self: "${toString self.n}/${toString self.d}"; __functor = self: op: other: { "+" = rational (self.n * other.d + other.n * self.d) (self.d * other.d); "*" = rational (self.n * other.n) (self.d * other.d); "<" = self.n * other.d < other.n * self.d; }.${op}; };
  harmonic = n: foldl' (sum: k: sum "+" (rational 1 k)) (rational 0 1) (range 1 n);
  isqrt = n: let go = x: let y = (x + n / x) / 2; in if y >= x then x else go y; in if n < 2 then n else go n;
  sqrt = x: foldl' (g: _: (g + x / g) / 2) (x / 2.0) (range 1 30);
  primes = n: foldl' (ps: k: if foldl' (ok: p: ok && (p * p > k || mod k p != 0)) true ps then ps ++ [ k ] else ps) [ ] (range 2 n);
  power = b: e: if e == 0 then 1 else if bitAnd e 1 == 1 then b * power b (e - 1) else let h = power b (e / 2); in h * h;
  roman = n: (foldl' (acc: p: let go = acc: if acc.n >= p.v then go { n = acc.n - p.v; s = acc.s + p.s; } else acc; in go acc) { inherit n; s = ""; } (map (p: { v = head p; s = elemAt p 1; }) [ [ 1000 "M" ] [ 900 "CM" ] [ 500 "D" ] [ 400 "CD" ] [ 100 "C" ] [ 90 "XC" ] [ 50 "L" ] [ 40 "XL" ] [ 10 "X" ] [ 9 "IX" ] [ 5 "V" ] [ 4 "IV" ] [ 1 "I" ] ])).s;
  round = x: let f = floor x; in if x - f >= 0.5 then f + 1 else f;
  percent = a: b: "${toString (a * 100.0 / b)}%";
  overflow = f: (tryEval (f 9223372036854775807)).success;
in
{
  stamps = map stamp [ 0 951782400 1709164800 1735689599 (-1) (-2208988800) 32503680000 ];
  back = map (s: stamp (parseStamp s) == s) [ "2000-02-29T00:00:00Z" "1969-12-31T23:59:59Z" "2100-03-01T12:30:45Z" ];
  roundTrip = filter (d: days (civil d) != d) (map (n: n * 1777 - 400000) (range 0 500));
  weekdays = map weekday [ 0 1 19723 (-1) ];
  durations = map (t: (tryEval (duration t)).value) [ "1h30m" "2w" "90s 1d" "" "1x" "5" ];
  sizes = map human [ 0 1023 1024 1048576 5368709120 (-2048) 9223372036854775807 ];
  colours = [ (mix 0.5 "#000000" "#ffffff") (mix 0.25 "#102030" "#f0e0d0") (colour "#0a80ff") ];
  bits = map bits [ 0 1 255 65537 9223372036854775807 ];
  random = foldl' (acc: _: acc ++ [ (xorshift (elemAt acc (length acc - 1))) ]) [ 1 ] (range 1 12);
  rationals = [ "${harmonic 10}" ((rational 1 3) "<" (rational 2 5)) "${(rational (-2) 4) "*" (rational 3 (-5))}" ];
  roots = [ (isqrt 1000000) (isqrt 9223372036854775) (sqrt 2.0) (sqrt 2.0 == 1.4142135623730951) ];
  primes = primes 60;
  powers = [ (power 3 39) (power 2 62) (power (-2) 63) (power 1.5 3) ];
  roman = map roman [ 1994 2024 49 0 ];
  floats = [ (map round [ 0.5 1.5 (-0.5) 2.4999 ]) (percent 1 3) (1.0e3 / 3) (toJSON (1.0 / 3)) (toString 1.0e-7) (ceil (-0.1)) (floor 1.0e15) (2.0 == 2) (1 + 0.1 + 0.2) (0.1 + 0.2 == 0.3) ];
  divisions = map (p: [ (head p / elemAt p 1) (mod (head p) (elemAt p 1)) (floorDiv (head p) (elemAt p 1)) ]) [ [ 7 2 ] [ (-7) 2 ] [ 7 (-2) ] [ (-7) (-2) ] ];
  hexes = [ (map hex [ 0 15 16 3735928559 ]) (fromHex "deadbeef") (tryEval (fromHex "xy")) ];
  sorted = builtins.sort lessThan [ 3 1.5 2 (-1) 1.0e2 0 (-0.5) 2.5 ];
  builtin = [ (add 1 2.5) (sub 1 2) (mul 2 0.5) (div 7 2) (div 7.0 2) (bitOr 5 8) ];
}
