derivation "n"
