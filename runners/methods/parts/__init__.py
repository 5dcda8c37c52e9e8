"""Parts of methods: base classes, scores, and layer schedules."""
