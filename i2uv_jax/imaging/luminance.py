"""How bright colours are."""

REC_709_WEIGHTS = (0.2126, 0.7152, 0.0722)
"""Shares of red, green and blue in a colour's luminance, if they are linear; of encoded ones, in
its luma (ITU-R BT.709)."""
