# Comments of both kinds, anywhere.
/* block */ [ # line
  1 /* between */ 2 /* multi
  line */ 3 # end
  (4 /**/ + /***/ 5)
] # last
