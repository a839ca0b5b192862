"""How this app's detector is trained: the net, its pictures, its loss, its score."""
