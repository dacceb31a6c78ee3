# A set is evaluated in the order in which the parser was done with its names:
# with an argument after the body of its function.
let pick = first: second: second; in
{ first = throw "first"; second = throw "second"; }
