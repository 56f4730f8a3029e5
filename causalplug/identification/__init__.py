"""Which questions the data answer: queries, the algorithms that decide them, certificates and
estimands."""
