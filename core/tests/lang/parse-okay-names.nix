a-b: c': _d: or_: inherit-x: { then-x = 1; x-then = a-b; rec' = c'; _ = _d; }
