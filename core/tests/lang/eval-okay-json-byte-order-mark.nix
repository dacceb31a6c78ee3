let mark = builtins.fromJSON ''"\ufeff"''; in
map builtins.fromJSON [ "${mark}1" "${mark} [ ]" "\"${mark}\"" ]
