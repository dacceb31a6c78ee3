# Four million calls of functions with one to three arguments.
let
  fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2);
  ack =
    m: n:
    if m == 0 then
      n + 1
    else if n == 0 then
      ack (m - 1) 1
    else
      ack (m - 1) (ack m (n - 1));
  tak = x: y: z: if y < x then tak (tak (x - 1) y z) (tak (y - 1) z x) (tak (z - 1) x y) else z;
in
[ (fib 30) (ack 2 700) (tak 18 12 6) ]
