# placeholder depends on the output's name alone.
[ (placeholder "out") (placeholder "dev") (placeholder "") (builtins.stringLength (placeholder "x")) (builtins.hasContext (placeholder "out")) ]
