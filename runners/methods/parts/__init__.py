"""What methods share: base classes, scores, and schedules over layers."""
