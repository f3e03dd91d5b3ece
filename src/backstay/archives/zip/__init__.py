"""ZIP: the vendor's and everyone's read, whole and in parts; written as everyone reads it (format notes, section 3)."""
