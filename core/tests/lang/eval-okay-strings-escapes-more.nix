# In "…": known escapes, others stand for themselves.
[ "\n\t\r\\\"\${x}" "$x $$ $${x}" "\a\b\x41\0" "a
b" "$" "\$" "$\{" "${"nested ${"twice"}"}" "''" "a\
b" ]
