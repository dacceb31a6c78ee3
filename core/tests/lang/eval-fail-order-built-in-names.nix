# Names that the evaluator knows come first, in its own order.
{ pname = throw "pname"; version = throw "version"; name = throw "name"; meta = throw "meta"; }
