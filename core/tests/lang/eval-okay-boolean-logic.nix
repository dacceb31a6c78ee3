[ (true && false) (true || throw "no") (false && throw "no") (false -> throw "no") (true -> false) (!true) (true -> true -> false) ]
