# A function that is an argument's default has no name.
({ call ? x: x }: "${call}") { }
