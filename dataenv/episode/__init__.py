"""Episodes: a teacher meets an environment, with what it may ask and what that costs."""
