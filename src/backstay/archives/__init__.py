"""JPA, JPS and ZIP archives: reading, writing, checking."""
