"""Questions as programs: the question language, the families that generate questions, and their validity rules."""
