with throw "namespace"; a
