"""What each ATen operation makes of what is known of the tensors that it reads."""
