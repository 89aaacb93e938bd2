"""Questions as programs: the expression language, the families that propose questions, and their validity rules."""
