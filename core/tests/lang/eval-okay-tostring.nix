map toString [ 1 true false null [ 1 [ ] [ 2 3 ] "a" ] { __toString = self: "custom" + self.x; x = "!"; } { outPath = "/out"; } "s" [ ] [ [ ] ] [ [ ] 1 ] [ 1 [ ] ] ]
