{ functor = x: x; } 1
