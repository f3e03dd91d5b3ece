"""What a directory is: Joomla, WordPress or plain, and which databases it uses."""
