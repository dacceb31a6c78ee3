# Names that need quotes have them.
{ ${"a" + " b"} = 1; ${"a " + "b"} = 2; }
