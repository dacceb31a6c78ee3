[ 1 0 007 1.5 .5 1.0e10 0.1e-6 123456789.0 http://a.example/b?c=d x:y ]
