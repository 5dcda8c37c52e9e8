"""Tables in one neutral form, and what renders them: rich for the screen, Markdown."""
