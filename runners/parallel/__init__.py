"""One model in several processes: rank 0 leads, the others follow, request by request."""
