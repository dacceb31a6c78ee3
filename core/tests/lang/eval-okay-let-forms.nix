# let, nested, shadowing, the old form with body.
[
  (let a = 1; b = a; in let a = 2; in [ a b ])
  (let f = n: if n == 0 then 0 else f (n - 1); in f 10)
  (let { x = 1; body = x + 1; })
  (let in 1)
  (let even = n: n == 0 || odd (n - 1); odd = n: n != 0 && even (n - 1); in even 10)
  (let a = { b = 1; }; inherit (a) b; in b)
]
