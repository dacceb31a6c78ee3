assert /a == /b; true
