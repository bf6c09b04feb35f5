"""What is remembered for a while: live metrics, in Redis or in this process."""
