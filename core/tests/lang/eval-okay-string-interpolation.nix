let x = "X"; n = 5; in [ "a${x}b" "${x}" "${toString n}" "${"a" + "b"}" "a${"${x}"}" "${x}${x}" ]
