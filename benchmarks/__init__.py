"""What Crossfade costs and how quick it is, measured on the shipped daemon in the sandbox.

Every figure comes from the product as a person starts it: its own process, over HTTP, through a
real Envoy. Nothing of the product is copied here, and nothing in the product imports this.
"""
