"""JPA, the open format: 1.0 to 1.3 read, 1.3 written (format notes, section 1)."""
