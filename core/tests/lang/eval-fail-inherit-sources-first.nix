# Sources of `inherit` are read before everything else of their set.
{ a = first; inherit second; inherit (third) d; }
