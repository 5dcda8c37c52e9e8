"""Pictures by matplotlib, each drawn by one function, for PNG files and for the HTML page alike."""
