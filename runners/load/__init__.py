"""Load: requests that arrive while others are being answered, in an open or a closed loop."""
