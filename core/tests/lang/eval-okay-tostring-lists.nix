# One space between, none after an empty list.
[ (toString [ ]) (toString [ [ ] ]) (toString [ 1 [ ] 2 ]) (toString [ [ 1 2 ] [ 3 ] ]) (toString [ "" "" ]) (toString [ [ ] [ ] 1 ]) (toString [ null false true ]) (toString [ 1 [ [ ] ] 2 ]) ]
