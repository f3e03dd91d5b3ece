"""What a person or a call asks for: take a backup, resume it, restore it.

The package has no names of its own: each command imports the modules it needs, and starts the faster for it.
"""
