# 100 000 records and numbers sorted with and without a comparator, a sieve, a lazy stream, 360 000 members forced.
let
  next = s: (s * 1103515245 + 12345) - ((s * 1103515245 + 12345) / 2147483648) * 2147483648;
  random = builtins.genericClosure {
    startSet = [ { key = 0; value = 42; } ];
    operator =
      x:
      let
        value = next x.value;
      in
      if x.key >= 100000 then [ ] else builtins.seq value [ { key = x.key + 1; inherit value; } ];
  };
  records = builtins.sort (a: b: a.value < b.value) random;
  numbers = builtins.sort builtins.lessThan (map (r: r.value) random);
  sieve =
    limit:
    let
      go =
        list:
        let
          prime = builtins.head list;
        in
        if prime * prime > limit then
          list
        else
          [ prime ] ++ go (builtins.filter (x: x - (x / prime) * prime != 0) (builtins.tail list));
    in
    go (builtins.genList (i: i + 2) limit);
  stream = n: { head = n; tail = stream (n + 1); };
  sum = n: s: if n == 0 then 0 else s.head + sum (n - 1) s.tail;
  table = map (i: map (j: i * j) (builtins.genList (j: j) 600)) (builtins.genList (i: i) 600);
in
[
  (builtins.head records).value
  (builtins.elemAt numbers 5000)
  (builtins.length (sieve 60000))
  (sum 4000 (stream 0))
  (builtins.deepSeq table (builtins.length table))
]
