"""The one door in and the one door out: every file is opened, written and listed through here."""
