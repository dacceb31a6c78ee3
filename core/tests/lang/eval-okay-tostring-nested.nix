toString { __toString = self: { __toString = _: "peeled"; }; }
