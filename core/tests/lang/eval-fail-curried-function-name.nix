# All functions of several arguments one by one are named like the first.
let make = system: lib: { pname, version }: pname; in
make "x" { } { pname = "p"; }
