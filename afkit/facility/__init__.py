"""The facility file: read, checked, and turned into frozen records."""
