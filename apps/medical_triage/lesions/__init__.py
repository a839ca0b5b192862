"""What train.py and score.py are made of."""
