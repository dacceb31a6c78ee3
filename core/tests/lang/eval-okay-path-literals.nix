# Relative paths by their last parts: the checkout may be anywhere.
map toString [ /a/b /a/../b /. (/a + "b") (/a + "/b/../c") (/. + "/x") ] ++ map baseNameOf [ ./. ./a/./b ../lang ] ++ [ (./. == ../lang) (dirOf ./a/./b == ./a) ]
