"""The resolver: who may choose what, what a choice leads to, and why not. Pure: same input, same output."""
