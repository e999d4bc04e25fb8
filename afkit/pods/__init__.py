"""From a selection to what a server gets, as plain data. Pure: same input, same output."""
