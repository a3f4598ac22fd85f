"""How students are trained: batches and rates, AdamW, next-token loss, GRPO and DPO, several states at once."""
