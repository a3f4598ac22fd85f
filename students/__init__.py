"""Students: trainable models, pure. One file a student."""
