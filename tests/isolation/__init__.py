"""What one process of a connection can and cannot know or do, seen from outside as root."""
