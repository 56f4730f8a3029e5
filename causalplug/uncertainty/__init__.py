"""What is not known about an answer: influence functions, replicates, intervals."""
