"""Proposals: questions from a model, a person or a file are tested, and then treated like any other question.

names.py      names in a text, and the objects they fit
programs.py   object ids, words and calls in the tree of a program
steady.py     stability of an answer under small perturbations of views and boxes
elsewhere.py  answers of the same program over other scenes, by which an answer could be guessed
examine.py    TaskSpec -> Realised | Rejection …
"""
