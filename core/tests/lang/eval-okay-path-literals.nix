map toString [ /a/b /a/../b /. ./. ./a/./b ../lang (/a + "b") (/a + "/b/../c") (/. + "/x") ]
