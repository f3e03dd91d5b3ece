"""JPA, the open format: 1.1, 1.2 and 1.3 read, 1.3 written (format notes, section 1)."""
