a: b: [ (if a then b else a) (with a; b) (assert a; b) (if a then if b then 1 else 2 else 3) (with a; with b; c) __curPos ]
