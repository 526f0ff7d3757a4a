"""Photos in: reading picture files and cutting square crops out of them."""
