"""Commands for those who work on Interlock; nothing in the package needs them."""
