"""Pictures, by matplotlib (``pip install "netlayers[plot]"``), which is loaded only when used."""
