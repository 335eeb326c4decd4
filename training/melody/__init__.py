"""How `models/melody` is made: tunes read, encoded, learned and measured."""
