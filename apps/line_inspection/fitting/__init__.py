"""How the model of this app is made; not needed to run it."""
