[ http://example.org/a?b=c x:y ((x: y: x) 1 2) ]
