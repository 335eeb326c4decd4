"""What the trainings share: export, cards, splits."""
