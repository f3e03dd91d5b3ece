"""What a person or a call asks for: take a backup, resume it, restore it."""
