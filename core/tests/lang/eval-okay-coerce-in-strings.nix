[ "${{ outPath = "o"; }}" "${{ __toString = _: "t"; outPath = "o"; }}" ("a" + { outPath = "b"; }) ({ outPath = "x"; } + "y") ]
