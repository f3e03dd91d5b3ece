"""JPS, the encrypted format: 1.9, 1.10 and 2.0 read, 2.0 with a static salt written (format notes, section 2)."""
